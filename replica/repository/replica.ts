import { systemClock, type Clock } from '@trivet/proto/clock.ts';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { ReplicaPosition } from '@trivet/proto/messages.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { PreparedRefs } from '../refs/ref-store.ts';
import type { Refs } from '../refs/refs.ts';
import type { PlannedTransaction } from '../refs/plan.ts';
import type { Quarantine } from '../quarantine/ingest.ts';
import type { PrepareAnswer } from '@trivet/proto/messages.ts';
import type { PromiseRecord } from '../participant/journal.ts';

/** A transaction this replica has voted on; its objects are in quarantine until it is prepared. */
export interface Vote extends PlannedTransaction {
  transaction: string;
  quarantine: Quarantine;
  /** By `Clock.elapsed`: the wall clock may be set back, and a vote must not stay for as long. */
  votedAtElapsedMs: number;
}

/** The one promise a replica can hold. */
export interface HeldPromise {
  record: PromiseRecord;
  refs: PreparedRefs;
  answer: PrepareAnswer;
  /** The controller's process that asked for it. */
  coordinator: string;
  /** By `Clock.elapsed`: the wall clock may be set back, and nobody would ask for the decision for as long. */
  madeAtElapsedMs: number;
}

/** Batches whose outcome is remembered, so that a message that comes late or twice meets the same answer. */
const REMEMBERED_BATCHES = 64;

/**
 * One repository's copy on this node, opened.
 *
 * At rest it holds no promise. `prepare` gives it one; from then on `refs` are locked and every other prepare is
 * refused, until `commit` or `abort` (or the decision it asked for itself) takes the promise away again.
 * Changes run one at a time through `exclusively`; reads and votes need no turn.
 */
export class Replica {
  readonly id: string;
  readonly gitDir: string;
  readonly objectFormat: ObjectFormat;
  readonly refs: Refs;
  readonly votes = new Map<string, Vote>();
  promise: HeldPromise | undefined;
  /** Its directory has another place, or is gone: whoever still holds this object must change nothing any more. */
  retired = false;
  /** How many rounds of repair have begun to change its files. */
  repairs = 0;
  /** How often maintenance has changed its files; odd while it does. */
  rearranged = 0;
  /** The generation in the record beside git's files. */
  recordedGeneration: number;
  readonly #clock: Clock;
  #generation: number;
  #waiters = new Set<() => void>();
  #last: Promise<unknown> = Promise.resolve();
  readonly #outcomes = new Map<string, 'commit' | 'abort'>();
  readonly #peeled = new Map<Oid, Oid | undefined>();

  constructor(input: {
    id: string; gitDir: string; objectFormat: ObjectFormat; refs: Refs; generation: number; clock?: Clock;
  }) {
    this.id = input.id;
    this.gitDir = input.gitDir;
    this.objectFormat = input.objectFormat;
    this.refs = input.refs;
    this.#clock = input.clock ?? systemClock;
    this.recordedGeneration = input.generation;
    this.#generation = input.generation;
  }

  get generation(): number {
    return this.#generation;
  }

  /** In the replica's turn: in the middle of a commit the refs are the new ones, and the generation still the old one. */
  get position(): ReplicaPosition {
    return { generation: this.#generation, digest: this.refs.digest };
  }

  /** Where it stands, between two changes. */
  async settledPosition(): Promise<ReplicaPosition> {
    return this.exclusively(async () => this.position);
  }

  /** Whether nothing depends on this object staying in memory. */
  get idle(): boolean {
    return this.promise === undefined && this.votes.size === 0 && this.refs.settled;
  }

  get peeled(): Map<Oid, Oid | undefined> {
    return this.#peeled;
  }

  /** Moves to a higher generation and wakes the readers that wait for it. Asserts that generations only rise. */
  advance(generation: number): void {
    if (generation <= this.#generation) throw new Error(`generation ${generation} would overwrite ${this.#generation}`);
    this.#generation = generation;
    for (const wake of this.#waiters) wake();
  }

  /** Takes the generation that goes with refs brought over by a repair: the same one or a higher. */
  adopt(generation: number): void {
    if (generation < this.#generation) throw new Error(`generation ${generation} would overwrite ${this.#generation}`);
    this.#generation = generation;
    for (const wake of this.#waiters) wake();
  }

  /**
   * Waits for a commit in flight until this replica has at least `generation`.
   * @throws TrivetError replica_behind after `waitMs`
   */
  async reach(generation: number, waitMs: number): Promise<void> {
    if (this.#generation >= generation) return;
    await new Promise<void>((resolve) => {
      const cancel = this.#clock.after(waitMs, finish);
      const wake = () => { if (this.#generation >= generation) finish(); };
      const waiters = this.#waiters;
      waiters.add(wake);
      function finish(): void {
        cancel();
        waiters.delete(wake);
        resolve();
      }
    });
    if (this.#generation < generation) {
      throw new TrivetError('replica_behind', { repository: this.id, asked: generation, holds: this.#generation });
    }
  }

  /** Runs changes of this replica one after another. */
  exclusively<T>(change: () => Promise<T>): Promise<T> {
    const result = this.#last.then(change);
    this.#last = result.catch(() => {});
    return result;
  }

  outcomeOf(batch: string): 'commit' | 'abort' | undefined {
    return this.#outcomes.get(batch);
  }

  rememberOutcome(batch: string, outcome: 'commit' | 'abort'): void {
    this.#outcomes.set(batch, outcome);
    for (const oldest of this.#outcomes.keys()) {
      if (this.#outcomes.size <= REMEMBERED_BATCHES) break;
      this.#outcomes.delete(oldest);
    }
  }
}
