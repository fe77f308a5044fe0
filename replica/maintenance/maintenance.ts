import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';
import type { Replica } from '../repository/replica.ts';
import type { Replicas } from '../repository/replicas.ts';
import { dueFor, type Due, type DueLimits } from './due.ts';
import { lookAtStore } from './look.ts';
import { withPermission, type AskPermission } from './permission.ts';
import { untilQuiet } from './quiet.ts';
import { work, type Step, type Workbench, type Worked } from './work.ts';

export interface MaintenanceOptions extends DueLimits {
  /** False: nothing is begun that nobody asks for. */
  enabled: boolean;
  /** How often stores are looked at. */
  scanMs: number;
  /** One that takes longer is stopped, and gone on with later. */
  deadlineMs: number;
  graceMs: number;
}

/** How a maintenance ended. `refused`: there was no permission now. */
export type Outcome = 'done' | 'refused' | 'stopped' | 'failed';
export const OUTCOMES: readonly Outcome[] = ['done', 'refused', 'stopped', 'failed'];

/** One function for the metric and the log of each thing. */
export interface MaintenanceEvents {
  ended(repository: string, due: Due, outcome: Outcome, tookMs: number, particulars: Partial<Worked> & { reason?: string; fault?: TrivetError }): void;
  step(step: Step, tookMs: number): void;
}

export interface MaintenanceParts {
  node: string;
  replicas: Replicas;
  ask: AskPermission;
  /** Whether a repair, or a check of every object, goes on in a replica; a repair is never disturbed, a check rarely. */
  isRepaired(id: string): boolean;
  isChecked(id: string): boolean;
  /** Whether pushes are in hand on this node. */
  isBusy(): boolean;
  roomBytes(): number;
  onReplaced(gitDir: string, gone: readonly string[], come: readonly string[]): void;
  failpoint: Failpoint;
  clock: Clock;
  events: MaintenanceEvents;
  options: MaintenanceOptions;
}

/** Stores looked at in one pass: each costs a few directory listings. */
const LOOKS_PER_SCAN = 32;
/** Of those, replicas that nobody has used lately. */
const COLD_LOOKS_PER_SCAN = 4;
/** A store is looked at again after so long, one that something was pushed to sooner. */
const LOOK_AGAIN_MS = 3_600_000;
const CHANGED_LOOK_MS = 60_000;
/** What was refused is asked for again after so long, what failed after so much longer. */
const REFUSED_MS = 5_000;
const FAILED_MS = 600_000;
/** Replicas known to need work. Whoever finds no room is found again. */
const MAX_WAITING = 1_000;
/** Where pushes never cease, a step begins after so long. */
const PATIENCE_MS = 2_000;

interface Seen {
  generation: number;
  packs: number;
  atMs: number;
}

/**
 * Keeps the stores of this node fast: finds by bounded looks which need work, asks a controller for permission, and works on
 * one at a time.
 *
 * Nothing depends on it: whatever is stopped, refused or failed is found again, and whatever it does leaves a store that has
 * all it had.
 */
export class Maintenance {
  readonly #parts: MaintenanceParts;
  /** What is due, in the order in which it was found; not before a time of `Clock.elapsed`. */
  readonly #waiting = new Map<string, Due & { notBeforeMs: number }>();
  readonly #seen = new WeakMap<Replica, Seen>();
  /** Replicas on the disk that are still to be looked at in this round through all of them. */
  #cold: string[] = [];
  #roundAtMs = -Infinity;
  #scannedAtMs = -Infinity;
  #current: { id: string; stop: AbortController; over: Promise<unknown> } | undefined;
  readonly #stop = new AbortController();

  constructor(parts: MaintenanceParts) {
    this.#parts = parts;
  }

  /** The repository whose replica is being worked on. */
  get current(): string | undefined {
    return this.#current?.id;
  }

  /**
   * An operator wants a replica in order now, as one pack: it is the next.
   * @throws TrivetError replica_missing; too_busy when too many have been asked for
   */
  async ask(id: string): Promise<void> {
    await this.#parts.replicas.look(id);
    if (this.#waiting.size >= MAX_WAITING && !this.#waiting.has(id)) throw new TrivetError('too_busy', { waiting: this.#waiting.size });
    this.#waiting.set(id, { reason: 'asked', urgent: false, notBeforeMs: 0 });
  }

  /** Looks around when it is time, and works on one replica that is due, to its end. Call it again and again. */
  async tick(): Promise<void> {
    const { clock, options } = this.#parts;
    if (this.#stop.signal.aborted || this.#current !== undefined) return;
    if (options.enabled && clock.elapsed() - this.#scannedAtMs >= options.scanMs) {
      this.#scannedAtMs = clock.elapsed();
      await this.#scan();
    }
    const next = this.#next();
    if (next !== undefined) await this.#run(...next);
  }

  /** Stops the work on a replica, if there is any, and waits until it is over. Nothing is left half done that matters. */
  async stop(id: string): Promise<void> {
    const current = this.#current;
    if (current?.id !== id) return;
    current.stop.abort(new TrivetError('aborted', { repository: id }));
    await current.over;
  }

  async close(): Promise<void> {
    this.#stop.abort(new TrivetError('shutting_down'));
    await this.#current?.over;
  }

  /** The one that was asked for first, then the most urgent, then the one that has waited for longest. */
  #next(): [string, Due] | undefined {
    const { clock, isChecked, isRepaired } = this.#parts;
    const now = clock.elapsed();
    const ready = [...this.#waiting].filter(([id, due]) => due.notBeforeMs <= now && !isRepaired(id) && (due.urgent || !isChecked(id)));
    const rank = ([, due]: [string, Due]) => (due.reason === 'asked' ? 0 : due.urgent ? 1 : 2);
    return ready.sort((a, b) => rank(a) - rank(b))[0];
  }

  async #run(id: string, due: Due): Promise<void> {
    const { clock, events, node, options, ask, replicas } = this.#parts;
    const startedAt = clock.elapsed();
    const stop = new AbortController();
    const cancel = clock.after(options.deadlineMs, () => stop.abort(new TrivetError('aborted', { repository: id, deadlineMs: options.deadlineMs })));
    const signal = AbortSignal.any([stop.signal, this.#stop.signal]);
    const { promise: over, resolve: end } = Promise.withResolvers<void>();
    this.#current = { id, stop, over };
    const again = (afterMs: number) => this.#waiting.set(id, { ...due, notBeforeMs: clock.elapsed() + afterMs });
    this.#waiting.delete(id);
    try {
      const { urgent } = due;
      const result = await withPermission({ node, repository: id, urgent }, ask, clock, signal, (permitted) => (
        replicas.use(id, (replica) => this.#work(replica, due, permitted))));
      if ('refused' in result) {
        again(REFUSED_MS);
        events.ended(id, due, 'refused', clock.elapsed() - startedAt, { reason: result.refused });
      } else {
        events.ended(id, due, 'done', clock.elapsed() - startedAt, result.value);
      }
    } catch (error) {
      // Whatever it was that gave way when it was stopped.
      const given: unknown = signal.aborted ? signal.reason : error;
      // The disk's own words, as of a store that was taken away meanwhile.
      const fault = given instanceof Error && 'syscall' in given ? asDiskFailure(given) : asTrivetError(given);
      const isGone = fault.code === 'replica_missing';
      const unheard = fault.code === 'store_unavailable' ? 'refused' : 'failed';
      const outcome = signal.aborted || fault.code === 'aborted' ? 'stopped' : unheard;
      if (!isGone) again(outcome === 'failed' ? FAILED_MS : REFUSED_MS);
      events.ended(id, due, outcome, clock.elapsed() - startedAt, { fault });
    } finally {
      cancel();
      this.#current = undefined;
      end();
    }
  }

  async #work(replica: Replica, due: Due, signal: AbortSignal): Promise<Worked> {
    const { clock, events, failpoint, isBusy, isRepaired, onReplaced, options, roomBytes } = this.#parts;
    signal.throwIfAborted();
    if (isRepaired(replica.id)) throw new TrivetError('aborted', { repository: replica.id, problem: 'it is being repaired' });
    const bench: Workbench = {
      replica, signal, clock, failpoint, roomBytes, graceMs: options.graceMs,
      quiet: () => untilQuiet(isBusy, PATIENCE_MS, clock, signal),
      onReplaced: (gone, come) => onReplaced(replica.gitDir, gone, come),
      onStep: (step, tookMs) => events.step(step, tookMs),
    };
    const worked = await work(bench, due.reason === 'asked');
    this.#seen.delete(replica);
    return worked;
  }

  /** Looks at replicas in memory that something was pushed to, and at a few of the others. */
  async #scan(): Promise<void> {
    const { clock, replicas } = this.#parts;
    const used = [...replicas.opened].filter((replica) => this.#mayBeDue(replica)).slice(0, LOOKS_PER_SCAN);
    for (const replica of used) {
      const packs = await this.#look(replica.id, replica.gitDir);
      if (packs !== undefined) this.#seen.set(replica, { generation: replica.generation, packs, atMs: clock.elapsed() });
    }
    if (this.#cold.length === 0 && clock.elapsed() - this.#roundAtMs >= LOOK_AGAIN_MS) {
      this.#roundAtMs = clock.elapsed();
      this.#cold = await replicas.ids();
    }
    for (const id of this.#cold.splice(0, COLD_LOOKS_PER_SCAN)) await this.#look(id, replicas.gitDir(id));
  }

  /** A transaction brings one pack at most. */
  #mayBeDue(replica: Replica): boolean {
    const seen = this.#seen.get(replica);
    if (seen === undefined) return true;
    const pushes = replica.generation - seen.generation;
    if (this.#parts.clock.elapsed() - seen.atMs >= (pushes === 0 ? LOOK_AGAIN_MS : CHANGED_LOOK_MS)) return true;
    return seen.packs + pushes >= this.#parts.options.packs;
  }

  /** How many packs there are; undefined when it can't be said, which is for verification to find out. */
  async #look(id: string, gitDir: string): Promise<number | undefined> {
    const { clock, options } = this.#parts;
    try {
      const { facts } = await lookAtStore(gitDir, clock.now());
      const due = dueFor(facts, options);
      const waiting = this.#waiting.get(id);
      if (due !== undefined && (waiting !== undefined || this.#waiting.size < MAX_WAITING) && waiting?.reason !== 'asked') {
        this.#waiting.set(id, { ...due, notBeforeMs: due.urgent && waiting?.urgent === false ? 0 : waiting?.notBeforeMs ?? 0 });
      }
      return facts.packs;
    } catch {
      return undefined;
    }
  }
}
