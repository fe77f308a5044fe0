import { Agent } from 'undici';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type { RepairAnswer, RepairProgress, RepairRequest } from '@trivet/proto/messages.ts';
import { EMPTY_REFS_DIGEST } from '@trivet/proto/refs-digest.ts';
import type { Journal } from '../participant/journal.ts';
import type { Replica } from '../repository/replica.ts';
import type { Replicas } from '../repository/replicas.ts';
import { removeSetAside, undoHalfSwap } from '../repository/set-aside.ts';
import { removeUnfinished } from '../repository/store-leftovers.ts';
import { Pace } from '../serve/pace.ts';
import { bring } from './bring.ts';
import { expectationOf, refuseWhilePromised, snapshotAt } from './expectation.ts';
import { heal } from './heal.ts';
import { RoundProgress } from './progress.ts';
import { build, swapIn } from './rebuild.ts';
import { JobMemory, type Brought, type Round } from './round.ts';
import { Source } from './source.ts';
import type { Store } from './store.ts';
import { takeOver, takeOverDisk } from './take-over.ts';

/** Connections to sources, over all repairs: a few for each that the controllers let run on one node. */
const MAX_CONNECTIONS = 16;

export interface RepairParts {
  replicas: Replicas;
  journal: Journal;
  token: string;
  failpoint: Failpoint;
  /** Brings everything written to this node's file system to the disk. */
  flush: () => Promise<void>;
  /** Told after objects may have come to a replica's store. */
  onAdded: (gitDir: string) => void;
  /** Told after objects of a store may have gone or become others. */
  onReplaced: (gitDir: string) => void;
  /** Ends whatever else works on the files of a replica, and keeps it from beginning while a round runs. */
  interrupt: (id: string) => Promise<void>;
}

interface Running {
  progress: RoundProgress;
  stop: AbortController;
  over: Promise<unknown>;
}

/**
 * Makes a replica equal to another node's. The controller calls it in rounds: `objects` any number of times while pushes go
 * on, then `refs` once inside the repository's turn, when the source can't change any more.
 *
 * At most one round of a replica runs on a node. A second one is refused, whoever asks: it may be a controller that was
 * paused, lost its lease and has come back. What a round has brought stays when it is stopped, and the next one goes on there.
 */
export class Repair {
  readonly #parts: RepairParts;
  readonly #agent = new Agent({ connections: MAX_CONNECTIONS, connect: { timeout: 2_000 } });
  readonly #running = new Map<string, Running>();
  /** By repository, what its last job has learned; until it is admitted. */
  readonly #memories = new Map<string, { job: string; memory: JobMemory }>();

  constructor(parts: RepairParts) {
    this.#parts = parts;
  }

  /**
   * Runs one round.
   * @returns where the replica stands afterwards, and what the round brought
   * @throws TrivetError replica_busy while a promise is held or another round runs; replica_ahead; replica_missing and
   *   refs_unreadable when only `rebuild` can help; repair_failed, node_unreachable, git_failed, disk_failure
   */
  async run(id: string, message: RepairRequest, caller: AbortSignal): Promise<RepairAnswer> {
    if (message.round === 'refs') expectationOf(message);
    if (this.#running.has(id)) throw new TrivetError('replica_busy', { repository: id, repairedBy: this.#running.get(id)!.progress.now.job });
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    const running: Running = { progress: new RoundProgress(message.job), stop: new AbortController(), over };
    this.#running.set(id, running);
    const signal = AbortSignal.any([caller, running.stop.signal]);
    try {
      await this.#parts.interrupt(id);
      const { bytesPerSecond, job } = message;
      const source = new Source({ url: message.source, repository: id, token: this.#parts.token, bytesPerSecond, agent: this.#agent, signal });
      const pace = bytesPerSecond === undefined ? undefined : new Pace(bytesPerSecond);
      return await this.#run(id, message, { job, source, memory: this.#memoryOf(id, job), pace, progress: running.progress, signal, flush: this.#parts.flush });
    } finally {
      this.#running.delete(id);
      end();
    }
  }

  /** How far the round is that runs; undefined when none does. */
  progressOf(id: string): RepairProgress | undefined {
    return this.#running.get(id)?.progress.now;
  }

  /** Whether a round of this replica runs. */
  isRunning(id: string): boolean {
    return this.#running.has(id);
  }

  /**
   * The replica was admitted: what its repairs have set aside goes.
   * @param job only what this job replaced
   * @throws TrivetError replica_busy while a round runs
   */
  async discard(id: string, job?: string): Promise<void> {
    if (this.#running.has(id)) throw new TrivetError('replica_busy', { repository: id, repairedBy: this.#running.get(id)!.progress.now.job });
    this.#memories.delete(id);
    await removeSetAside(this.#parts.replicas.gitDir(id), job);
  }

  /** Stops the round that runs for a replica, if any, and waits until it is over. */
  async stop(id: string, code: 'aborted' | 'shutting_down' = 'aborted'): Promise<void> {
    const running = this.#running.get(id);
    running?.stop.abort(new TrivetError(code, { repository: id }));
    await running?.over;
    this.#memories.delete(id);
  }

  async close(): Promise<void> {
    await Promise.all([...this.#running.keys()].map((id) => this.stop(id, 'shutting_down')));
    await this.#agent.destroy();
  }

  async #run(id: string, message: RepairRequest, round: Round): Promise<RepairAnswer> {
    const { replicas } = this.#parts;
    // An earlier round may have failed between the two renames of a swap.
    await undoHalfSwap(replicas.gitDir(id));
    if (message.way === 'rebuild') return this.#rebuild(id, message, round);
    await this.#look(id, message, round);
    return replicas.use(id, async (replica) => {
      refuseWhilePromised(replica);
      replica.repairs += 1;
      // An earlier round's git may have been killed. Votes have quarantines, and at most one round runs: nobody else writes.
      await removeUnfinished(replica.gitDir);
      const brought = message.round === 'refs'
        ? await this.#refs(replica, message, round)
        : await this.#objects(replica, message, round);
      return { ...await replica.settledPosition(), ...brought };
    });
  }

  /** A replica that has no directory gets an empty one: nothing can be lost, and there is something to fetch into. */
  async #look(id: string, message: RepairRequest, { memory }: Round): Promise<void> {
    const { replicas } = this.#parts;
    try {
      await replicas.look(id);
    } catch (error) {
      const isGone = error instanceof TrivetError && error.code === 'replica_missing' && error.fields['directoryOf'] === undefined;
      if (!isGone || message.way !== 'fetch') throw error;
      memory.doubt();
      memory.sound.clear();
      await replicas.create(id, message.objectFormat, 'refs/heads/main');
    }
  }

  async #objects(replica: Replica, message: RepairRequest, round: Round): Promise<Brought> {
    const store = this.#storeOf(replica);
    const brought = message.way === 'heal'
      ? await heal(store, round)
      : await bring(store, await round.source.snapshot(), round);
    // Before the turn, so that the flush inside it finds little to do.
    if (brought.objects > 0) await round.flush();
    return brought;
  }

  async #refs(replica: Replica, message: RepairRequest, round: Round): Promise<Brought> {
    const expect = expectationOf(message);
    const snapshot = await snapshotAt(round.source, expect);
    const brought = await bring(this.#storeOf(replica), snapshot, round);
    round.signal.throwIfAborted();
    await takeOver(replica, snapshot, expect, this.#parts.journal, takeOverDisk(replica.gitDir, round.flush));
    return brought;
  }

  async #rebuild(id: string, message: RepairRequest, round: Round): Promise<RepairAnswer> {
    const { replicas, onReplaced } = this.#parts;
    const gitDir = replicas.gitDir(id);
    return this.#useIfReadable(id, async (replica) => {
      if (replica !== undefined) refuseWhilePromised(replica);
      const expect = message.round === 'refs' ? expectationOf(message) : undefined;
      const snapshot = expect === undefined ? await round.source.snapshot() : await snapshotAt(round.source, expect);
      const { directory, digest, brought } = await build(gitDir, message.objectFormat, snapshot, round);
      if (expect === undefined) return { ...await replica?.settledPosition() ?? { generation: 0, digest: EMPTY_REFS_DIGEST }, ...brought };
      if (digest !== expect.digest) throw new TrivetError('repair_failed', { repository: id, expected: expect, got: { digest } });
      round.signal.throwIfAborted();
      await swapIn(id, replica, { directory, objectFormat: message.objectFormat }, expect, round, this.#parts);
      onReplaced(gitDir);
      return { ...await replicas.use(id, (swapped) => swapped.settledPosition()), ...brought };
    });
  }

  /** Keeps the replica open meanwhile, if it can be opened. */
  async #useIfReadable<T>(id: string, action: (replica: Replica | undefined) => Promise<T>): Promise<T> {
    const { replicas } = this.#parts;
    try {
      await replicas.look(id);
      await replicas.use(id, async () => {});
    } catch (error) {
      if (!(error instanceof TrivetError && ['replica_missing', 'refs_unreadable'].includes(error.code))) throw error;
      return action(undefined);
    }
    return replicas.use(id, action);
  }

  #memoryOf(id: string, job: string): JobMemory {
    const known = this.#memories.get(id);
    if (known?.job === job) return known.memory;
    const memory = new JobMemory();
    this.#memories.set(id, { job, memory });
    return memory;
  }

  #storeOf(replica: Replica): Store {
    const { onAdded, onReplaced } = this.#parts;
    const { gitDir, objectFormat, refs } = replica;
    return {
      gitDir,
      objectFormat,
      head: () => refs.head,
      tips: () => refs.entries().map(([, oid]) => oid),
      alone: (move) => replica.exclusively(move),
      added: () => onAdded(gitDir),
      replaced: () => onReplaced(gitDir),
    };
  }
}
