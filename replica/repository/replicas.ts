import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isId } from '@trivet/proto/id.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';
import { RefStore } from '../refs/ref-store.ts';
import { createBareRepository } from '../serve/repository-config.ts';
import { readReplicaRecord, writeReplicaRecord, type ReplicaRecord } from './position-file.ts';
import { holdsNothing } from './holds-nothing.ts';
import { Replica } from './replica.ts';
import { quarantineRoot, syncPath } from './layout.ts';
import { removeAbandoned, removeSetAside, undoHalfSwap } from './set-aside.ts';

/** Records written at once: each costs an fsync, and those that wait together share one of the disk's. */
const SAVED_AT_ONCE = 16;

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
  /** Replicas that lack what was promised for them, and why; left when another directory takes the place, or none. */
  readonly #keptOut = new Map<string, unknown>();
  /** Creations and removals that are under way. */
  readonly #making = new Map<string, Promise<void>>();
  readonly #onClose: (gitDir: string) => void;
  readonly #endPromises: (id: string) => Promise<void>;

  /**
   * @param onClose told when a replica leaves memory, so that processes kept for it can end
   * @param endPromises makes durable that what was promised for a replica so far no longer counts (a `restart` record):
   *   a replica made anew has none of the objects that its earlier life promised
   */
  constructor(root: string, maxOpen: number, onClose: (gitDir: string) => void, endPromises: (id: string) => Promise<void>) {
    this.#root = root;
    this.#maxOpen = maxOpen;
    this.#onClose = onClose;
    this.#endPromises = endPromises;
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

  /** Whether the disk has a directory for a replica. Throws TrivetError disk_failure when that can't be said. */
  async has(id: string): Promise<boolean> {
    return hasDirectory(this.gitDir(id));
  }

  /**
   * Lets nobody open a replica that could not be brought in order: it would vote, and be read, without what was promised
   * for it. Repair takes it for one whose refs can't be read, and puts another in its place.
   */
  keepOut(id: string, reason: unknown): void {
    this.#forget(id);
    this.#keptOut.set(id, reason);
  }

  /** @throws TrivetError replica_missing, refs_unreadable */
  async #get(id: string): Promise<Replica> {
    for (;;) {
      const isNew = !this.#open.has(id);
      const opening = this.#open.get(id) ?? this.#load(id);
      // Most recently used last, so that the oldest comes first when there are too many.
      this.#open.delete(id);
      this.#open.set(id, opening);
      try {
        const replica = await opening;
        // Forgotten while it was read: another directory may have its place by now, so it is read again.
        if (this.#open.get(id) !== opening) continue;
        this.#opened.set(id, replica);
        if (isNew && this.#open.size > this.#maxOpen) await this.#closeSurplus();
        return replica;
      } catch (error) {
        if (this.#open.get(id) === opening) this.#open.delete(id);
        throw error;
      }
    }
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

  /**
   * Makes an empty replica at generation 0. One that is there already stays as it is.
   * @throws TrivetError disk_failure
   */
  async create(id: string, objectFormat: ObjectFormat, head: string): Promise<void> {
    const gitDir = this.gitDir(id);
    await this.#inOrder(id, async () => {
      if (await this.#exists(id)) return;
      await mkdir(dirname(gitDir), { recursive: true });
      // Before the directory: after a crash in between there is nothing that earlier promises could be made so on. It may
      // have gone under a running node, so nobody knows here whether there are any.
      await this.#endPromises(id);
      await createBareRepository(gitDir, objectFormat, head);
      const refs = await RefStore.open(gitDir, objectFormat);
      await writeReplicaRecord(gitDir, { repository: id, objectFormat, generation: 0, digest: refs.digest });
      await syncPath(gitDir);
    }).catch((error: unknown) => { throw asDiskFailure(error); });
  }

  /**
   * Takes a replica off the disk, and what repairs left beside it. It disappears at once; the files go afterwards.
   * @param options.ifEmpty only when it holds nothing; see holdsNothing
   * @returns whether it is gone
   */
  async remove(id: string, { ifEmpty = false } = {}): Promise<boolean> {
    const gitDir = this.gitDir(id);
    let stays = false;
    const doomed = `${gitDir}.removed-${process.hrtime.bigint()}`;
    const moveAway = async () => {
      stays = ifEmpty && !await holdsNothing(gitDir, this.#opened.get(id));
      if (stays) return;
      await this.retire(id);
      try {
        await rename(gitDir, doomed);
        await syncPath(dirname(gitDir));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    };
    try {
      await this.#inOrder(id, async () => {
        const replica = this.#opened.get(id);
        await (replica === undefined ? moveAway() : replica.exclusively(moveAway));
        // Not before it is gone: a removal that a crash undoes must leave a replica with all that it promised.
        if (!stays) await this.#endPromises(id);
      });
    } finally {
      await rm(doomed, { recursive: true, force: true });
    }
    if (!stays) await removeSetAside(gitDir);
    return !stays;
  }

  /**
   * Forgets a replica whose directory gets another place or is gone: its votes end, and the next use reads the disk. Call
   * it inside `exclusively` when the replica is open.
   */
  async retire(id: string): Promise<void> {
    const replica = this.#opened.get(id);
    this.#forget(id);
    this.#keptOut.delete(id);
    if (replica === undefined) return;
    replica.retired = true;
    const votes = [...replica.votes.values()];
    replica.votes.clear();
    for (const vote of votes) await vote.quarantine.discard();
  }

  /**
   * Looks whether the disk still has a replica, which may have gone under a running node. What memory holds of one that
   * has gone is forgotten.
   * @returns its record; undefined when that can't be read
   * @throws TrivetError replica_missing, also when the directory is another repository's
   */
  async look(id: string): Promise<ReplicaRecord | undefined> {
    const gitDir = this.gitDir(id);
    const isThere = await this.has(id);
    const record = isThere ? await readReplicaRecord(gitDir) : undefined;
    if (isThere && (record === undefined || record.repository === id)) return record;
    await this.retire(id);
    throw new TrivetError('replica_missing', { repository: id, ...(record && { directoryOf: record.repository }) });
  }

  /**
   * Brings the directories in order after a crash, before anything is opened: what was being made or removed goes, a swap
   * that stopped half-way is undone. What a repair can go on with stays.
   */
  async removeLeftovers(): Promise<void> {
    for (const shard of await readdirOrEmpty(this.#root)) {
      const directory = join(this.#root, shard);
      const names = await readdirOrEmpty(directory);
      // What can't be taken away or put back now is tried again at the next start; no node stays down for it.
      for (const name of names) {
        if (name.startsWith('.creating-') || name.includes('.git.removed-')) await rm(join(directory, name), { recursive: true, force: true }).catch(() => {});
      }
      for (const id of new Set(names.filter((name) => name.includes('.git.replaced-')).map((name) => name.slice(0, name.indexOf('.'))))) {
        await undoHalfSwap(join(directory, `${id}.git`)).catch(() => {});
      }
      await removeAbandoned(directory, Date.now()).catch(() => {});
    }
  }

  /**
   * Writes down where every replica stands that has moved since it was last written down. One whose directory is gone has
   * nothing to lose; it is found missing when it is looked at.
   */
  async saveRecords(): Promise<void> {
    const waiting = this.#opened.values().filter((replica) => replica.recordedGeneration !== replica.generation).toArray().values();
    const work = async () => {
      for (const replica of waiting) await replica.exclusively(() => saveRecordIfThere(replica));
    };
    // Nothing may go on behind the back of who deletes the journal's old files, or believes that it failed.
    for (const result of await Promise.allSettled(Array.from({ length: SAVED_AT_ONCE }, work))) if (result.status === 'rejected') throw result.reason;
  }

  /** Forgets what is in memory, so that the next use reads the disk again. */
  reopen(id: string): void {
    this.#forget(id);
  }

  /** One replica's creations and removals, one after another: what ends the promises of a life mustn't end the next one's. */
  async #inOrder(id: string, action: () => Promise<void>): Promise<void> {
    const turn = (this.#making.get(id) ?? Promise.resolve()).then(action);
    const over = turn.catch(() => {});
    this.#making.set(id, over);
    try {
      await turn;
    } finally {
      if (this.#making.get(id) === over) this.#making.delete(id);
    }
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
    if (this.#keptOut.has(id)) {
      throw new TrivetError('refs_unreadable', { path: gitDir, problem: 'what was promised could not be made so when the node started' }, { cause: this.#keptOut.get(id) });
    }
    const refs = await RefStore.open(gitDir, record.objectFormat);
    return new Replica({ id, gitDir, objectFormat: record.objectFormat, refs, generation: record.generation });
  }

  async #closeSurplus(): Promise<void> {
    for (const id of [...this.#open.keys()]) {
      if (this.#open.size <= this.#maxOpen) return;
      const replica = this.#opened.get(id);
      if (!replica?.idle || this.#users.has(id)) continue;
      // One that can't be written now stays open: that is no fault of the replica somebody is waiting for.
      await replica.exclusively(() => saveRecord(replica)).catch(() => {});
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

/** Writes down where a replica stands, if it has moved since that was done. In the replica's turn. */
async function saveRecord(replica: Replica): Promise<void> {
  const { generation, digest } = replica.position;
  // The place of a retired one belongs to another by now.
  if (replica.retired || replica.recordedGeneration === generation) return;
  await writeReplicaRecord(replica.gitDir, { repository: replica.id, objectFormat: replica.objectFormat, generation, digest });
  replica.recordedGeneration = generation;
}

/** The same; when its directory is gone there is nothing to write down, nor a reason to. */
export async function saveRecordIfThere(replica: Replica): Promise<void> {
  try {
    await saveRecord(replica);
  } catch (error) {
    if (!(error instanceof TrivetError && error.code === 'replica_missing')) throw error;
  }
}

/** Removes what a killed process left of votes in this replica. */
export async function removeQuarantines(gitDir: string): Promise<void> {
  await rm(quarantineRoot(gitDir), { recursive: true, force: true });
}

async function hasDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
    throw new TrivetError('disk_failure', { operation: 'look at a repository' }, { cause: error });
  }
}

async function readdirOrEmpty(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
