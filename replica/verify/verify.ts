import PQueue from 'p-queue';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { VerifyAnswer } from '@trivet/proto/messages.ts';
import { unsoundSideFiles } from '../git/pack-check.ts';
import type { Replica } from '../repository/replica.ts';
import type { Replicas } from '../repository/replicas.ts';
import { fsck } from './fsck.ts';
import { verifyLight, type Looked } from './light.ts';
import { Problems } from './problems.ts';

/** Reading every byte of a repository is for one at a time; more would only read against each other. */
const FULL_AT_ONCE = 1;
const LIGHT_AT_ONCE = 4;
/** Controllers bound how many they ask for; what comes on top of this is a fault. */
const MAX_WAITING = 256;
/** Commits that come while git reads may have hidden their objects from it; then what it found is looked at again. */
const MAX_PASSES = 3;

export interface VerifyParts {
  replicas: Replicas;
  /** Whether a round of repair runs for a replica. */
  isRepaired: (id: string) => boolean;
  /** The indexes that this process has seen in a store, by file name. */
  seenIndexes: (gitDir: string) => ReadonlySet<string>;
  /** Told when a replica's disk is not what this process believes. */
  onProblems: (gitDir: string) => void;
}

/**
 * Compares replicas with their disks. Nothing is changed, and pushes and reads go on; a replica that is being repaired is
 * left alone, for it is half one thing and half another.
 */
export class Verify {
  readonly #parts: VerifyParts;
  readonly #full = new PQueue({ concurrency: FULL_AT_ONCE });
  readonly #light = new PQueue({ concurrency: LIGHT_AT_ONCE });
  readonly #checking = new Set<string>();
  readonly #stop = new AbortController();

  constructor(parts: VerifyParts) {
    this.#parts = parts;
  }

  /** Verifications that run now. */
  get running(): number {
    return this.#full.pending + this.#light.pending;
  }

  /** Whether every object of a replica is being checked. */
  isChecking(id: string): boolean {
    return this.#checking.has(id);
  }

  /**
   * @param full also every byte of every file of the store and every link between objects
   * @param caller gives up, and ends git
   * @throws TrivetError replica_missing when it isn't on the disk, also when it was a moment ago; refs_unreadable when it
   *   can't even be opened; replica_busy while it is repaired; too_busy; git_failed and disk_failure when it can't be said
   */
  async run(id: string, full: boolean, caller: AbortSignal): Promise<VerifyAnswer> {
    const signal = AbortSignal.any([caller, this.#stop.signal]);
    const queue = full ? this.#full : this.#light;
    if (queue.size >= MAX_WAITING) throw new TrivetError('too_busy', { waiting: queue.size });
    const startedAt = performance.now();
    return queue.add(async () => {
      signal.throwIfAborted();
      if (full) this.#checking.add(id);
      const { problems, ...looked } = await this.#verify(id, full, signal).finally(() => { if (full) this.#checking.delete(id); });
      return { ...looked.position, diskDigest: looked.diskDigest, problems: [...problems.found], packs: looked.packs, bytes: looked.bytes, tookMs: performance.now() - startedAt };
    });
  }

  /** Ends what runs; whoever asked hears `shutting_down`. */
  async close(): Promise<void> {
    this.#stop.abort(new TrivetError('shutting_down'));
    await Promise.all([this.#full.onIdle(), this.#light.onIdle()]);
  }

  async #verify(id: string, full: boolean, signal: AbortSignal): Promise<Looked & { problems: Problems }> {
    const { replicas, isRepaired, seenIndexes, onProblems } = this.#parts;
    const record = await replicas.look(id);
    return replicas.use(id, async (replica) => {
      const busy = () => new TrivetError('replica_busy', { repository: id, problem: 'it is being repaired' });
      if (isRepaired(id)) throw busy();
      const repairs = replica.repairs;
      for (let pass = 1; ; pass++) {
        const { rearranged } = replica;
        const problems = new Problems();
        const looked = await verifyLight(replica, record, seenIndexes(replica.gitDir), problems, signal);
        if (full) await verifyFiles(replica, problems, signal);
        if (problems.found.length === 0) return { ...looked, problems };
        if (replica.retired || replica.repairs !== repairs) throw busy();
        // Maintenance puts packs in the place of others: what is missed may be among those.
        const isRearranged = rearranged !== replica.rearranged || rearranged % 2 === 1;
        const moved = replica.generation !== looked.position.generation || isRearranged;
        if (isRearranged && pass === MAX_PASSES) throw new TrivetError('replica_busy', { repository: id, problem: 'it is being maintained' });
        if (!moved || pass === MAX_PASSES) {
          onProblems(replica.gitDir);
          return { ...looked, problems };
        }
      }
    });
  }
}

async function verifyFiles(replica: Replica, problems: Problems, signal: AbortSignal): Promise<void> {
  for (const file of await unsoundSideFiles(replica.gitDir, replica.objectFormat, signal)) {
    problems.add('corrupt', `${file} is not as it was written`);
  }
  await fsck(replica.gitDir, problems, signal);
}
