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
  readonly #users = new Map<string, number>();
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

  /** @throws TrivetError replica_missing, refs_unreadable */
  async #get(id: string): Promise<Replica> {
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
    if (this.#open.size > this.#maxOpen) await this.#closeSurplus();
    return opening;
  }

  /** Uses a replica for as long as `action` runs; it stays open meanwhile. */
  async use<T>(id: string, action: (replica: Replica) => Promise<T>): Promise<T> {
    // Counted before it is opened: a replica must never be in memory twice.
    this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
    try {
      return await action(await this.#get(id));
    } finally {
      const users = this.#users.get(id)! - 1;
      if (users === 0) this.#users.delete(id);
      else this.#users.set(id, users);
    }
  }

  /** Makes an empty replica at generation 0. One that is there already stays as it is. */
  async create(id: string, objectFormat: ObjectFormat, head: string): Promise<void> {
    if (await this.#exists(id)) return;
    const gitDir = this.gitDir(id);
    await mkdir(dirname(gitDir), { recursive: true });
    await createBareRepository(gitDir, objectFormat, head);
    const refs = await RefStore.open(gitDir, objectFormat);
    await writeReplicaRecord(gitDir, { repository: id, objectFormat, generation: 0, digest: refs.digest });
    await syncPath(gitDir);
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

  /** Writes down where every replica stands that has moved since it was last written down. */
  async saveRecords(): Promise<void> {
    for (const replica of [...this.#opened.values()]) await saveRecord(replica);
  }

  /** Forgets what is in memory, so that the next use reads the disk again. */
  reopen(id: string): void {
    this.#forget(id);
  }

  async #exists(id: string): Promise<boolean> {
    try {
      await this.#get(id);
      return true;
    } catch (error) {
      if (error instanceof TrivetError && error.code === 'replica_missing') return false;
      throw error;
    }
  }

  async #load(id: string): Promise<Replica> {
    const gitDir = this.gitDir(id);
    const record = await readReplicaRecord(gitDir);
    if (record === undefined || record.repository !== id) throw new TrivetError('replica_missing', { repository: id });
    const refs = await RefStore.open(gitDir, record.objectFormat);
    return new Replica({ id, gitDir, objectFormat: record.objectFormat, refs, generation: record.generation });
  }

  async #closeSurplus(): Promise<void> {
    for (const id of [...this.#open.keys()]) {
      if (this.#open.size <= this.#maxOpen) return;
      const replica = this.#opened.get(id);
      if (!replica?.idle || this.#users.has(id)) continue;
      await saveRecord(replica);
      // It may have been used meanwhile, and moved on.
      const unused = replica.idle && !this.#users.has(id) && replica.recordedGeneration === replica.generation;
      if (unused && this.#opened.get(id) === replica) this.#forget(id);
    }
  }

  #forget(id: string): void {
    this.#open.delete(id);
    const replica = this.#opened.get(id);
    this.#opened.delete(id);
    if (replica !== undefined) this.#onClose(replica.gitDir);
  }
}

async function saveRecord(replica: Replica): Promise<void> {
  const { generation, digest } = replica.position;
  if (replica.recordedGeneration === generation) return;
  await writeReplicaRecord(replica.gitDir, { repository: replica.id, objectFormat: replica.objectFormat, generation, digest });
  replica.recordedGeneration = generation;
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
