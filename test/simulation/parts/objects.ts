import type { Oid } from '@trivet/proto/object-format.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { IngestRequest, IngestResult } from '../../../replica/quarantine/ingest.ts';
import type { Quarantine } from '../../../replica/quarantine/ingest.ts';
import type { DiskAccess } from '../disk/disk-access.ts';
import type { ReplicaOnDisk } from '../disk/node-disk.ts';
import type { SimProcess } from './process.ts';

/** An object here is a commit object: an id, and at most one parent. */
export interface SimObject {
  oid: Oid;
  parent: Oid | undefined;
}

/** The history of all that was ever made, to tell whether a store is closed. */
export class ObjectGraph {
  readonly #parents = new Map<Oid, Oid | undefined>();

  make(parent: Oid | undefined): SimObject {
    const oid = (this.#parents.size + 1).toString(16).padStart(40, '0');
    this.#parents.set(oid, parent);
    return { oid, parent };
  }

  parentOf(oid: Oid): Oid | undefined {
    return this.#parents.get(oid);
  }

  /** The first object that can be reached from `tip` and isn't in `store`. */
  missing(tip: Oid, store: ReadonlySet<Oid>): Oid | undefined {
    for (let oid: Oid | undefined = tip; oid !== undefined; oid = this.#parents.get(oid)) if (!store.has(oid)) return oid;
    return undefined;
  }
}

export function encodePack(objects: readonly SimObject[]): Buffer {
  return Buffer.from(objects.map(({ oid, parent }) => `${oid} ${parent ?? ''}\n`).join(''));
}

export function decodePack(bytes: Buffer): SimObject[] {
  return bytes.toString().split('\n').slice(0, -1).map((line) => ({ oid: line.slice(0, 40), parent: line.slice(41) || undefined }));
}

/** Takes packs in as `Ingest` does: every link is checked, and nothing is in the store before it is migrated. */
export class SimIngest {
  readonly #access: DiskAccess;
  readonly #process: SimProcess;
  readonly #replica: (gitDir: string) => ReplicaOnDisk;

  /** @param replica the replica on the disk, by what it is called there */
  constructor(access: DiskAccess, process: SimProcess, replica: (gitDir: string) => ReplicaOnDisk) {
    this.#access = access;
    this.#process = process;
    this.#replica = replica;
  }

  async ingest(request: Pick<IngestRequest, 'gitDir' | 'pack' | 'tips' | 'signal'>): Promise<IngestResult> {
    const replica = this.#replica(request.gitDir);
    const objects: SimObject[] = [];
    for await (const bytes of request.pack ?? []) objects.push(...decodePack(bytes));
    await this.#process.wait(0.5);
    request.signal.throwIfAborted();
    this.#access.needRoom();
    const pushed = new Set(objects.map(({ oid }) => oid));
    const has = (oid: Oid) => pushed.has(oid) || replica.objects.has(oid);
    const complete = objects.every(({ parent }) => parent === undefined || has(parent)) && request.tips.every(has);
    if (!complete) return { ok: false, reason: 'missing necessary objects' };
    if (objects.length > 0) replica.quarantines++;
    return { ok: true, quarantine: this.#quarantine(replica, objects) };
  }

  #quarantine(replica: ReplicaOnDisk, objects: readonly SimObject[]): Quarantine {
    let state: 'held' | 'migrated' | 'discarded' = objects.length > 0 ? 'held' : 'migrated';
    const end = (how: 'migrated' | 'discarded') => {
      state = how;
      replica.quarantines--;
    };
    return {
      typeOf: () => 'commit',
      objectDirectory: async () => undefined,
      migrate: async () => {
        if (state === 'migrated') return;
        if (state === 'discarded') throw new TrivetError('disk_failure', { problem: 'the objects are gone' });
        this.#access.needRoom();
        await this.#access.step('moving objects into the store', () => {
          for (const { oid } of objects) replica.objects.add(oid);
          end('migrated');
        });
      },
      discard: async () => {
        if (state === 'held') end('discarded');
      },
      objects: objects.length,
      bytes: objects.length * 42,
    };
  }
}
