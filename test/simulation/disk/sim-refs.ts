import { TrivetError } from '@trivet/proto/errors.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import type { PreparedRefs } from '../../../replica/refs/prepared-refs.ts';
import type { RefChange } from '../../../replica/refs/ref-change.ts';
import { RefOverlay } from '../../../replica/refs/ref-overlay.ts';
import { RefTable } from '../../../replica/refs/ref-table.ts';
import type { Refs } from '../../../replica/refs/refs.ts';
import { never } from '../parts/process.ts';
import type { DiskAccess } from './disk-access.ts';
import type { ReplicaOnDisk } from './node-disk.ts';

/**
 * The refs of a replica on a simulated disk, with the promises and faults of `RefStore`: one pending change at a time,
 * locks that a killed process leaves behind, refs that aren't synced and HEAD that is. Memory is the real `RefTable`.
 */
export class SimRefs implements Refs {
  readonly #access: DiskAccess;
  readonly #files: ReplicaOnDisk;
  #table: RefTable;
  #pending = false;

  constructor(access: DiskAccess, files: ReplicaOnDisk) {
    this.#access = access;
    this.#files = files;
    this.#table = new RefTable(files.head.value, files.values());
  }

  get head(): string {
    return this.#table.head;
  }

  get digest(): string {
    return this.#table.digest;
  }

  get size(): number {
    return this.#table.size;
  }

  /** Whether a change is prepared and neither committed nor aborted. */
  get pending(): boolean {
    return this.#pending;
  }

  get settled(): boolean {
    return !this.#pending;
  }

  get(name: string): Oid | undefined {
    return this.#table.get(name);
  }

  hasBelow(name: string): boolean {
    return this.#table.hasBelow(name);
  }

  entries(): readonly (readonly [name: string, oid: Oid])[] {
    return this.#table.entries();
  }

  async digestFromDisk(): Promise<string> {
    return new RefTable(this.#files.head.value, this.#files.values()).digest;
  }

  async prepare(change: RefChange): Promise<PreparedRefs> {
    for (const { ref, old } of change.updates) {
      if (this.get(ref) !== old) throw impossible(`${ref} is at ${this.get(ref)}, not at ${old}`);
    }
    if (change.head && change.head.old !== this.head) throw impossible(`HEAD points at ${this.head}, not at ${change.head.old}`);
    return this.#prepare(change);
  }

  async apply(change: RefChange): Promise<void> {
    await (await this.#prepare(change)).commit();
  }

  async replaceAll(head: string, refs: Iterable<readonly [string, Oid]>): Promise<void> {
    const table = new RefTable(head, new Map(refs));
    const gone = [...this.#files.refs.keys()].filter((name) => table.get(name) === undefined);
    const updates = [...table.entries().map(([ref, oid]) => ({ ref, old: undefined, new: oid })), ...gone.map((ref) => ({ ref, old: undefined, new: undefined }))];
    const prepared = await this.#stage({ updates, head: { old: this.head, new: head } }, table.digest, () => { this.#table = table; });
    await prepared.commit();
  }

  #prepare(change: RefChange): Promise<PreparedRefs> {
    const overlay = new RefOverlay(this.#table);
    for (const { ref, new: oid } of change.updates) overlay.set(ref, oid);
    for (const { ref, new: oid } of change.updates) {
      const conflict = oid === undefined ? undefined : overlay.conflict(ref);
      if (conflict !== undefined) throw impossible(`${conflict} keeps ${ref} from being a ref`);
    }
    const digestAfter = this.#table.digestAfter(change);
    return this.#stage(change, digestAfter, () => { this.#table.install(change, digestAfter); });
  }

  async #stage(change: RefChange, digestAfter: string, install: () => void): Promise<PreparedRefs> {
    if (this.#pending) throw new TrivetError('replica_busy', { problem: 'another change of these refs is pending' });
    const { locks } = this.#files;
    const names = [...change.updates.map(({ ref }) => ref), ...(change.head === undefined ? [] : ['HEAD'])];
    const held = names.find((name) => locks.has(name));
    if (held !== undefined) throw new TrivetError('replica_busy', { lock: held });
    this.#access.needRoom();
    this.#pending = true;
    await this.#access.now('locking refs', () => { for (const name of names) locks.add(name); });
    let state: 'prepared' | 'committed' | 'aborted' = 'prepared';
    const end = (outcome: 'committed' | 'aborted') => {
      state = outcome;
      this.#pending = false;
      for (const name of names) locks.delete(name);
    };
    return {
      digestAfter,
      commit: async () => {
        if (state === 'committed') return;
        if (state === 'aborted') throw new Error('these refs were aborted and can not be committed');
        for (const { ref, new: oid } of change.updates) {
          void this.#access.now(`moving ${ref}`, () => { this.#files.ref(ref).write(oid); });
          if (!this.#access.alive) return never();
        }
        if (change.head !== undefined) this.#files.head.write(change.head.new);
        end('committed');
        install();
      },
      abort: async () => {
        if (state === 'prepared') end('aborted');
      },
    };
  }
}

function impossible(problem: string): TrivetError {
  return new TrivetError('internal', { problem });
}
