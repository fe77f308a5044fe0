import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isId } from '@trivet/proto/id.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { RefStore } from '../refs/ref-store.ts';
import { createBareRepository } from '../serve/repository-config.ts';
import { readReplicaRecord, writeReplicaRecord } from './position-file.ts';
import { Replica } from './replica.ts';
import { quarantineRoot, syncPath } from './layout.ts';

/**
 * All replicas on this node's disk: `repositories/<last two digits of the id>/<id>.git` (the first ones are a time stamp).
 * A replica is opened when it is first used, and closed again when too many are open and nothing depends on it.
 */
export class Replicas {
  readonly #root: string;
  readonly #maxOpen: number;
  readonly #open = new Map<string, Promise<Replica>>();
  readonly #opened = new Map<string, Replica>();
  readonly #onClose: (gitDir: string) => void;

  /** @param onClose told when a replica leaves memory, so that processes kept for it can end */
  constructor(root: string, maxOpen: number, onClose: (gitDir: string) => void) {
    this.#root = root;
    this.#maxOpen = maxOpen;
    this.#onClose = onClose;
  }

  gitDir(id: string): string {
    if (!isId(id)) throw new TrivetError('bad_request', { problem: 'not a repository id' });
    return join(this.#root, id.slice(-2), `${id}.git`);
  }

  /** Every replica in memory. */
  get opened(): Iterable<Replica> {
    return this.#opened.values();
  }

  /** The ids of all replicas on the disk. */
  async ids(): Promise<string[]> {
    const ids: string[] = [];
    for (const shard of await readdirOrEmpty(this.#root)) {
      for (const name of await readdirOrEmpty(join(this.#root, shard))) {
        if (name.endsWith('.git') && isId(name.slice(0, -4))) ids.push(name.slice(0, -4));
      }
    }
    return ids;
  }

  /** @throws TrivetError replica_missing */
  async get(id: string): Promise<Replica> {
    let opening = this.#open.get(id);
    if (opening !== undefined) {
      // Most recently used last, so that the oldest comes first when there are too many.
      this.#open.delete(id);
      this.#open.set(id, opening);
      return opening;
    }
    opening = this.#load(id);
    this.#open.set(id, opening);
    try {
      this.#opened.set(id, await opening);
    } catch (error) {
      this.#open.delete(id);
      throw error;
    }
    this.#closeSurplus();
    return opening;
  }

  /** Uses a replica for as long as `action` runs; it stays open meanwhile. */
  async use<T>(id: string, action: (replica: Replica) => Promise<T>): Promise<T> {
    const replica = await this.get(id);
    replica.users += 1;
    try {
      return await action(replica);
    } finally {
      replica.users -= 1;
    }
  }

  /** Makes an empty replica at generation 0. One that is there already stays as it is. */
  async create(id: string, objectFormat: ObjectFormat, head: string): Promise<Replica> {
    try {
      return await this.get(id);
    } catch (error) {
      if (!(error instanceof TrivetError && error.code === 'replica_missing')) throw error;
    }
    const gitDir = this.gitDir(id);
    await mkdir(dirname(gitDir), { recursive: true });
    await createBareRepository(gitDir, objectFormat, head);
    const refs = await RefStore.open(gitDir, objectFormat);
    await writeReplicaRecord(gitDir, { repository: id, objectFormat, generation: 0, digest: refs.digest });
    await syncPath(join(gitDir, 'trivet.json'));
    await syncPath(gitDir);
    return this.get(id);
  }

  /** Takes a replica off the disk. It disappears at once; the files go afterwards. */
  async remove(id: string): Promise<void> {
    const gitDir = this.gitDir(id);
    const replica = this.#opened.get(id);
    const doomed = `${gitDir}.removed-${process.hrtime.bigint()}`;
    const moveAway = async () => {
      this.#forget(id);
      for (const vote of replica?.votes.values() ?? []) await vote.quarantine.discard();
      replica?.votes.clear();
      await rename(gitDir, doomed).catch((error: NodeJS.ErrnoException) => { if (error.code !== 'ENOENT') throw error; });
    };
    await (replica === undefined ? moveAway() : replica.exclusively(moveAway));
    await rm(doomed, { recursive: true, force: true });
  }

  /** Takes away what a crash left of replicas that were being made or removed. */
  async removeLeftovers(): Promise<void> {
    for (const shard of await readdirOrEmpty(this.#root)) {
      for (const name of await readdirOrEmpty(join(this.#root, shard))) {
        if (name.startsWith('.creating-') || name.includes('.git.removed-')) await rm(join(this.#root, shard, name), { recursive: true, force: true });
      }
    }
  }

  /** Forgets what is in memory, so that the next use reads the disk again. */
  reopen(id: string): void {
    this.#forget(id);
  }

  async #load(id: string): Promise<Replica> {
    const gitDir = this.gitDir(id);
    const record = await readReplicaRecord(gitDir);
    if (record === undefined || record.repository !== id) throw new TrivetError('replica_missing', { repository: id });
    const refs = await RefStore.open(gitDir, record.objectFormat);
    return new Replica({
      id, gitDir, objectFormat: record.objectFormat, refs,
      generation: record.generation, damaged: refs.digest !== record.digest,
    });
  }

  #closeSurplus(): void {
    if (this.#open.size <= this.#maxOpen) return;
    for (const id of this.#open.keys()) {
      if (this.#opened.get(id)?.idle) {
        this.#forget(id);
        if (this.#open.size <= this.#maxOpen) return;
      }
    }
  }

  #forget(id: string): void {
    this.#open.delete(id);
    const replica = this.#opened.get(id);
    this.#opened.delete(id);
    if (replica !== undefined) this.#onClose(replica.gitDir);
  }
}

/** Removes what a killed process left of votes in this replica. */
export async function removeQuarantines(gitDir: string): Promise<void> {
  await rm(quarantineRoot(gitDir), { recursive: true, force: true });
}

async function readdirOrEmpty(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
