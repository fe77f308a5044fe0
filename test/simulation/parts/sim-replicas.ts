import { TrivetError } from '@trivet/proto/errors.ts';
import { Replica } from '../../../replica/repository/replica.ts';
import type { ReplicaDisk } from '../../../replica/repository/replica-disk.ts';
import type { DiskAccess } from '../disk/disk-access.ts';
import { TORN, type ReplicaOnDisk } from '../disk/node-disk.ts';
import { SimRefs } from '../disk/sim-refs.ts';
import type { SimProcess } from './process.ts';

/** Told of every move of a replica's generation. */
type Moved = (replica: Replica, from: number | undefined, how: string) => void;

/** A replica whose moves are watched. */
class WatchedReplica extends Replica {
  moved: Moved = () => {};

  override advance(generation: number): void {
    const from = this.generation;
    super.advance(generation);
    this.moved(this, from, 'commit');
  }

  override adopt(generation: number): void {
    const from = this.generation;
    super.adopt(generation);
    this.moved(this, from, 'repair');
  }
}

/** The replicas of one life of a node, as `Replicas` has them: opened from the disk when they are first used. */
export class SimReplicas {
  readonly #access: DiskAccess;
  readonly #process: SimProcess;
  readonly #moved: Moved;
  readonly #opened = new Map<string, Replica>();
  readonly #keptOut = new Set<string>();

  constructor(access: DiskAccess, process: SimProcess, moved: Moved) {
    this.#access = access;
    this.#process = process;
    this.#moved = moved;
  }

  get opened(): Iterable<Replica> {
    return this.#opened.values();
  }

  onDisk(id: string): ReplicaOnDisk {
    const replica = this.#access.disk.replicas.get(id);
    if (replica === undefined) throw new TrivetError('replica_missing', { repository: id });
    return replica;
  }

  async ids(): Promise<string[]> {
    return [...this.#access.disk.replicas.keys()];
  }

  async use<T>(id: string, action: (replica: Replica) => Promise<T>): Promise<T> {
    if (this.#keptOut.has(id)) throw new TrivetError('refs_unreadable', { repository: id });
    return action(this.#get(id));
  }

  /** Also one that is kept out, as a repair that rebuilds it does. */
  async useForRepair<T>(id: string, action: (replica: Replica) => Promise<T>): Promise<T> {
    return action(this.#get(id));
  }

  /** A repair has put other refs in the place of those that lacked something. */
  letIn(id: string): void {
    this.#keptOut.delete(id);
  }

  /** Writes down where every replica stands that has moved since it was last written down. */
  async saveRecords(): Promise<void> {
    for (const replica of this.#opened.values()) {
      const { generation, digest } = replica.position;
      if (replica.recordedGeneration === generation) continue;
      await this.#access.step('writing a replica\'s record', () => {
        this.onDisk(replica.id).record.write({ repository: replica.id, objectFormat: 'sha1', generation, digest });
      });
      replica.recordedGeneration = generation;
    }
  }

  /** The disk under them, for a starting node. */
  disk(): ReplicaDisk {
    return {
      ids: () => this.ids(),
      has: async (id) => this.#access.disk.replicas.has(id),
      removeLeftovers: async () => {},
      clean: async (id) => {
        const replica = this.onDisk(id);
        replica.locks.clear();
        replica.quarantines = 0;
        for (const [name, register] of replica.refs) if (register.value === TORN) replica.refs.delete(name);
      },
      readRecord: (id) => this.#access.read(() => this.onDisk(id).record.value),
      writeRecord: (id, record) => this.#access.step('writing a replica\'s record', () => { this.onDisk(id).record.write(record); }),
      openRefs: async (id) => new SimRefs(this.#access, this.onDisk(id)),
      reopen: (id) => { this.#opened.delete(id); },
      keepOut: (id) => { this.#keptOut.add(id); },
    };
  }

  #get(id: string): Replica {
    let replica = this.#opened.get(id);
    if (replica !== undefined) return replica;
    const files = this.onDisk(id);
    const record = files.record.value;
    if (record === undefined) throw new TrivetError('replica_missing', { repository: id });
    const watched = new WatchedReplica({
      id, gitDir: id, objectFormat: 'sha1', refs: new SimRefs(this.#access, files), generation: record.generation, clock: this.#process.clock,
    });
    watched.moved = this.#moved;
    replica = watched;
    this.#opened.set(id, replica);
    this.#moved(replica, undefined, 'opened');
    return replica;
  }
}
