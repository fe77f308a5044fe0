import type { Oid } from '@trivet/proto/object-format.ts';
import type { ReplicaRecord } from '../../../replica/repository/position-file.ts';
import type { Random } from '../random.ts';
import { Register } from './register.ts';

/** A ref whose file a loss of power left empty; a starting node removes such files. */
export const TORN = 'torn';

/** A file that grows: what was synced is there for good, of the rest a crash leaves a beginning, or rubbish. */
export class LogFile {
  durable: string;
  pending: string[] = [];

  constructor(durable = '') {
    this.durable = durable;
  }

  get text(): string {
    return this.pending.length === 0 ? this.durable : this.durable + this.pending.join('');
  }

  sync(): void {
    this.durable = this.text;
    this.pending = [];
  }

  lose(random: Random): void {
    const tail = this.pending.join('');
    this.pending = [];
    if (tail === '') return;
    const kept = tail.slice(0, random.below(tail.length + 1));
    // Where the file's length reached the disk and its content didn't, there are zero bytes.
    this.durable += random.chance(0.3) ? `${kept}${'\0'.repeat(random.below(tail.length - kept.length + 1))}` : kept;
  }
}

/** One replica on a disk. Objects are synced before they are promised, so there is nothing of them to lose. */
export class ReplicaOnDisk {
  readonly record: Register<ReplicaRecord | undefined>;
  readonly head: Register<string>;
  readonly refs = new Map<string, Register<Oid | undefined>>();
  readonly objects: Set<Oid>;
  /** Lock files, and directories of pushes whose objects aren't in the store: what a killed process leaves behind. */
  readonly locks = new Set<string>();
  quarantines = 0;

  constructor(record: ReplicaRecord | undefined, head: string, objects: Iterable<Oid> = []) {
    this.record = new Register(record);
    this.head = new Register(head);
    this.objects = new Set(objects);
  }

  ref(name: string): Register<Oid | undefined> {
    let register = this.refs.get(name);
    if (register === undefined) this.refs.set(name, register = new Register<Oid | undefined>(undefined));
    return register;
  }

  /** The refs that have a value. */
  values(): Map<string, Oid> {
    const values = new Map<string, Oid>();
    for (const [name, { value }] of this.refs) if (value !== undefined && value !== TORN) values.set(name, value);
    return values;
  }

  flush(): void {
    this.record.flush();
    this.head.flush();
    for (const register of this.refs.values()) register.flush();
  }

  lose(random: Random): void {
    this.record.lose(random);
    this.head.lose(random);
    for (const register of this.refs.values()) register.lose(random, TORN);
  }
}

/** A node's disk: it outlives its processes, but not everything on it does. */
export class NodeDisk {
  readonly journal = new Map<string, LogFile>();
  readonly replicas = new Map<string, ReplicaOnDisk>();
  /** Files that were removed since the last flush: a crash may bring them back. */
  readonly #removed = new Map<string, LogFile>();
  full = false;

  removeJournalFile(name: string): void {
    const file = this.journal.get(name);
    if (file !== undefined) this.#removed.set(name, file);
    this.journal.delete(name);
  }

  /** syncfs. */
  flush(): void {
    for (const file of this.journal.values()) file.sync();
    this.#removed.clear();
    for (const replica of this.replicas.values()) replica.flush();
  }

  /** The loss of power: what was never synced is lost, or isn't. */
  lose(random: Random): void {
    for (const [name, file] of this.#removed) if (random.chance(0.5)) this.journal.set(name, file);
    this.#removed.clear();
    for (const file of this.journal.values()) file.lose(random);
    for (const replica of this.replicas.values()) replica.lose(random);
  }

  /** A backup: what the disk would be after a flush at this moment. */
  copy(): NodeDisk {
    const copy = new NodeDisk();
    for (const [name, file] of this.journal) copy.journal.set(name, new LogFile(file.text));
    for (const [id, replica] of this.replicas) {
      const twin = new ReplicaOnDisk(replica.record.value, replica.head.value, replica.objects);
      for (const [name, { value }] of replica.refs) twin.refs.set(name, new Register(value));
      for (const lock of replica.locks) twin.locks.add(lock);
      twin.quarantines = replica.quarantines;
      copy.replicas.set(id, twin);
    }
    return copy;
  }
}
