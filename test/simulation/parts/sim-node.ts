import { TrivetError } from '@trivet/proto/errors.ts';
import type {
  AbortRequest, NodeStatus, PrepareAnswer, PrepareRequest, RefsSnapshot, RepairAnswer, RepairRequest, ReplicaPosition, VerifyAnswer, VoteAnswer,
  VoteHeader, CommitRequest, SettleAnswer } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../../../replica/context.ts';
import { InDoubt } from '../../../replica/participant/in-doubt.ts';
import type { Journal } from '../../../replica/participant/journal.ts';
import { backgroundWork } from '../../../replica/participant/loops.ts';
import type { Participant } from '../../../replica/participant/participant.ts';
import { restart } from '../../../replica/participant/restart.ts';
import type { Replica } from '../../../replica/repository/replica.ts';
import type { Ingest } from '../../../replica/quarantine/ingest.ts';
import { DiskAccess } from '../disk/disk-access.ts';
import { journalDisk } from '../disk/journal-disk.ts';
import { NodeDisk } from '../disk/node-disk.ts';
import type { Simulation } from '../simulation.ts';
import { SimIngest } from './objects.ts';
import { SimProcess } from './process.ts';
import { repairRound } from './node-repair.ts';
import { SimReplicas } from './sim-replicas.ts';

/** One life of a node's program, wired of the real parts over a simulated disk. */
export class NodeLife {
  readonly process: SimProcess;
  readonly access: DiskAccess;
  readonly replicas: SimReplicas;
  readonly journal: Journal;
  readonly participant: Participant;
  readonly context: ReplicaContext;
  readonly #simulation: Simulation;
  readonly #name: string;

  constructor(simulation: Simulation, node: SimNode, boot: string) {
    const { schedule, faults, observer, options } = simulation;
    this.#simulation = simulation;
    this.#name = node.name;
    const random = simulation.random('disk');
    this.process = new SimProcess(`${node.name}/${boot}`, schedule, () => node.skewMs);
    this.access = new DiskAccess(node.disk, this.process, faults, random, (where) => simulation.crash(node, where));
    this.replicas = new SimReplicas(this.access, this.process, (replica, from, how) => (
      observer.moved(node.name, replica.id, from, replica.position, how)));
    const guards = simulation.guards;
    this.journal = new guards.Journal(journalDisk(this.access), () => this.flush());
    const append = this.journal.append.bind(this.journal);
    const watched: Pick<Journal, 'append'> = {
      append: (record, durable) => {
        observer.recorded(node.name, record);
        return append(record, durable);
      },
    };
    const ingest = new SimIngest(this.access, this.process, (id) => this.replicas.onDisk(id));
    const failpoint = async (where: string) => { await this.access.now(where, () => {}); };
    this.participant = new guards.Participant(ingest as unknown as Ingest, watched, failpoint, this.process.clock, {
      catchUpMs: options.catchUpMs, maxVotes: 100, isWritable: () => !this.journal.failed,
    });
    const controllers = {
      handshake: (message: object) => this.#ask('a handshake', (life) => life.handshake(message as never)),
      report: (message: object) => this.#ask('a report', (life) => life.report(message as never)),
      settle: (message: object) => this.#ask('the decision', (life) => life.settle(message as never)),
    };
    const inDoubt = new InDoubt(node.name, this.replicas, this.participant, controllers as never, {
      settled: (repository, batch, outcome) => simulation.trace?.(node.name, `is told that batch ${simulation.short(batch)} is ${outcome === 'commit' ? 'committed' : 'aborted'}`),
      unanswered: () => {},
    });
    const nothing = () => {};
    this.context = {
      config: { node: node.name, url: node.name, promiseDeadlineMs: options.promiseDeadlineMs, voteExpiryMs: options.voteExpiryMs, journalBytes: options.journalBytes },
      boot, ready: false, clock: this.process.clock, replicas: this.replicas, disk: this.replicas.disk(), journal: this.journal, hasRoom: () => !node.disk.full,
      participant: this.participant, inDoubt, controllers,
      // Files of objects are not simulated.
      maintenance: { tick: async () => {} },
      log: { info: nothing, warn: nothing, error: nothing },
      metrics: { settled: { inc: nothing }, ready: { set: nothing } },
    } as unknown as ReplicaContext;
  }

  /** As the real program starts: the restart handshake, with the background work beside it. */
  start(): void {
    this.#begin(restart(this.context, '', () => false));
  }

  /** As it is when it has been up for a while. */
  resume(): void {
    this.#begin(this.#resume());
  }

  async #resume(): Promise<void> {
    await this.journal.read();
    await this.journal.rotate(() => []);
    for (const id of await this.replicas.ids()) await this.replicas.use(id, async () => {});
    this.context.ready = true;
  }

  #begin(starting: Promise<void>): void {
    const { context, process } = this;
    this.#simulation.background(this.#name, starting.then(() => {
      this.#simulation.trace?.(this.#name, `is ready: ${[...this.replicas.opened].map((replica) => this.#simulation.positionText(replica.position)).join(', ')}`);
    }));
    process.every(this.#simulation.options.tickMs, async () => {
      if (context.ready) await backgroundWork(context);
    });
  }

  async flush(): Promise<void> {
    await this.replicas.saveRecords();
    await this.access.step('a flush of the file system', () => { this.access.disk.flush(); });
  }

  status(): NodeStatus {
    return {
      node: this.#name, boot: this.context.boot, ready: this.context.ready, writable: !this.journal.failed, loadAverage: 0, diskFreeBytes: 1, diskTotalBytes: 1,
      gitProcesses: 0, replicas: 0, promises: 0,
    };
  }

  vote(repository: string, header: VoteHeader, pack: Buffer | undefined, signal: AbortSignal): Promise<VoteAnswer> {
    return this.#use(repository, (replica) => this.participant.vote(replica, header, pack === undefined ? undefined : once(pack), signal));
  }

  prepare(repository: string, request: PrepareRequest): Promise<PrepareAnswer> {
    return this.#use(repository, (replica) => this.participant.prepare(replica, request));
  }

  commit(repository: string, message: CommitRequest): Promise<ReplicaPosition> {
    return this.#use(repository, (replica) => this.participant.commit(replica, message));
  }

  abort(repository: string, request: AbortRequest): Promise<void> {
    return this.#use(repository, (replica) => this.participant.abort(replica, request));
  }

  /** Every ref, once the replica has the generation that is asked for. */
  snapshot(repository: string, generation: number): Promise<RefsSnapshot> {
    return this.#use(repository, async (replica) => {
      await replica.reach(generation, this.#simulation.options.catchUpMs);
      return {
        objectFormat: replica.objectFormat, ...replica.position, head: replica.refs.head,
        refs: [...replica.refs.entries()].map(([name, oid]): [string, string] => [name, oid]),
      };
    });
  }

  async repair(repository: string, request: RepairRequest): Promise<RepairAnswer> {
    if (!this.context.ready) throw new TrivetError('node_starting', { node: this.#name });
    return this.#simulation.expected(this.#name, this.replicas.useForRepair(repository, (replica) => repairRound(this.#simulation, this, replica, request)));
  }

  /** Whether the disk has what memory says, and in full also whether every object is there. */
  verify(repository: string, full: boolean): Promise<VerifyAnswer> {
    return this.#use(repository, async (replica) => {
      const { objects } = this.replicas.onDisk(repository);
      const missing = [...replica.refs.entries()].filter(([, oid]) => (full ? this.#simulation.objects.missing(oid, objects) !== undefined : !objects.has(oid)));
      return {
        ...replica.position, diskDigest: await replica.refs.digestFromDisk(), packs: 1, bytes: 0, tookMs: 0,
        problems: missing.map(([ref]) => ({ kind: 'corrupt', detail: `${ref} leads nowhere` })),
      };
    });
  }

  async #use<T>(repository: string, action: (replica: Replica) => Promise<T>): Promise<T> {
    if (!this.context.ready) throw new TrivetError('node_starting', { node: this.#name });
    return this.#simulation.expected(this.#name, this.replicas.use(repository, action));
  }

  /** Any controller can answer, so they are tried in order. */
  async #ask<T>(what: string, serve: (life: ControllerService) => Promise<T>): Promise<T> {
    const { network, controllers, options } = this.#simulation;
    let last: unknown;
    for (const controller of controllers) {
      try {
        return await network.call({
          from: this.process, to: controller.name, what, server: () => controller.life, processOf: (life) => life.process,
          serve, deadlineMs: options.askMs,
        });
      } catch (error) {
        last = error;
      }
    }
    throw new TrivetError('store_unavailable', {}, { cause: last });
  }
}

/** What a node asks of a controller. */
interface ControllerService {
  process: SimProcess;
  handshake(message: { node: string; url: string; boot: string }): Promise<object>;
  report(message: { node: string; boot: string; replicas: { repository: string; generation: number; digest: string }[] }): Promise<object>;
  settle(message: { node: string; repository: string; batch: string; transactions: string[] }): Promise<SettleAnswer>;
}

/** A machine with a disk, on which a node's program lives again and again. */
export class SimNode {
  readonly name: string;
  disk = new NodeDisk();
  life: NodeLife | undefined;
  skewMs = 0;
  lives = 0;

  constructor(name: string) {
    this.name = name;
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
