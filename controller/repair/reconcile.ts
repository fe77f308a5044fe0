import PQueue from 'p-queue';
import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import type { RepairProgress } from '@trivet/proto/messages.ts';
import type { JobProgress, RepairJobs } from '../store/jobs.ts';
import type { RepairJob } from '../store/rows.ts';
import { lastErrorOf } from './last-error.ts';
import type { Repair, RepairResult } from './repair.ts';

/** What reconcile needs to know of nodes. */
export interface RepairTargets {
  /** The ids of the nodes that can be used now. */
  usable(): string[];
  /** How far the round is that runs on a node; undefined when none does. */
  progress(repository: string, node: string): Promise<RepairProgress | undefined>;
}

/** One function for the metric and the log of every repair. */
export interface RepairEvents {
  repaired(job: RepairJob, result: RepairResult, tookMs: number): void;
  repairFailed(job: RepairJob, code: string, fields: Readonly<Record<string, unknown>>): void;
  /** This controller stops, and the job waits for another one. */
  repairHandedOver(job: RepairJob): void;
}

export interface ReconcileOptions {
  /** Names this controller in claims. */
  holder: string;
  /** Repairs that this controller runs at once, in all and on each node. */
  concurrency: number;
  perNode: number;
  leaseMs: number;
}

/** A lease is extended, and progress written down, so many times in its duration. */
const REPORTS_PER_LEASE = 15;
/** Pause before a job is tried again: doubles with each attempt. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;
/** What passes by itself and says nothing about the repair: who starts or stops, a promise about to end. */
const PASSING = new Set<ErrorCode>(['node_starting', 'shutting_down', 'replica_busy']);
const PASSING_RETRY_MS = 200;
/** Jobs opened by one sweep at most. */
const SWEEP_LIMIT = 1_000;

/**
 * Claims repair jobs and runs them, a few at a time. A job is a row with a lease: if this controller dies, another
 * takes it over when the lease ends, and what this one says afterwards no longer counts.
 */
export class Reconcile {
  readonly #jobs: RepairJobs;
  readonly #repair: Repair;
  readonly #targets: RepairTargets;
  readonly #events: RepairEvents;
  readonly #clock: Clock;
  readonly #options: ReconcileOptions;
  readonly #queue: PQueue;
  readonly #stop = new AbortController();
  /** Repairs of this controller that run, for each node. */
  readonly #running = new Map<string, number>();
  #looking: Promise<void> | undefined;
  #again = false;

  constructor(input: {
    jobs: RepairJobs; repair: Repair; targets: RepairTargets; events: RepairEvents; clock: Clock; options: ReconcileOptions;
  }) {
    this.#jobs = input.jobs;
    this.#repair = input.repair;
    this.#targets = input.targets;
    this.#events = input.events;
    this.#clock = input.clock;
    this.#options = input.options;
    this.#queue = new PQueue({ concurrency: input.options.concurrency });
  }

  /** Looks for due jobs now. Called by a timer, and whenever something suggests that there are some. */
  poke(): void {
    if (this.#looking !== undefined) {
      this.#again = true;
      return;
    }
    // A store that doesn't answer is told by the requests that need it; here the next tick tries again.
    this.#looking = this.#claim().catch(() => {}).finally(() => {
      this.#looking = undefined;
      if (this.#again) {
        this.#again = false;
        this.poke();
      }
    });
  }

  /** Looks for replicas that aren't current and that no job takes care of. */
  async sweep(): Promise<void> {
    await this.#jobs.ensureAll(SWEEP_LIMIT);
    this.poke();
  }

  /** Repairs that run. */
  get running(): number {
    return this.#queue.pending;
  }

  /** Ends what runs; jobs go back into the line, due at once for other controllers. */
  async stop(): Promise<void> {
    this.#stop.abort(new TrivetError('shutting_down'));
    // A claim under way may still bring a job.
    await this.#looking;
    await this.#queue.onIdle();
  }

  async #claim(): Promise<void> {
    let free = this.#queue.concurrency - this.#queue.pending - this.#queue.size;
    while (free > 0 && !this.#stop.signal.aborted) {
      // One at a time: each may fill its node's share.
      const nodes = this.#targets.usable().filter((node) => (this.#running.get(node) ?? 0) < this.#options.perNode);
      const { holder, leaseMs } = this.#options;
      const [job] = await this.#jobs.claim({ holder, leaseMs, nodes, limit: 1 });
      if (job === undefined) return;
      this.#count(job.node, 1);
      void this.#queue.add(() => this.#run(job)).finally(() => {
        this.#count(job.node, -1);
        this.poke();
      });
      free -= 1;
    }
  }

  async #run(job: RepairJob): Promise<void> {
    const startedAt = this.#clock.elapsed();
    const cancel = new AbortController();
    const stop = () => cancel.abort(this.#stop.signal.reason);
    this.#stop.signal.addEventListener('abort', stop);
    if (this.#stop.signal.aborted) stop();
    let cancelReports = () => {};
    const planReport = () => {
      cancelReports = this.#clock.after(this.#options.leaseMs / REPORTS_PER_LEASE, () => {
        planReport();
        void this.#report(job, stop);
      });
    };
    planReport();
    try {
      const result = await this.#repair.run(job, cancel.signal);
      this.#events.repaired(job, result, this.#clock.elapsed() - startedAt);
      // Whoever waited for a source, or for its turn to try again, has one more now.
      await this.#jobs.wake({ repository: job.repository }).catch(() => {});
    } catch (error) {
      const handedOver = this.#stop.signal.aborted;
      const { code, fields } = asTrivetError(handedOver ? this.#stop.signal.reason : error);
      const counts = !PASSING.has(code);
      const pauseMs = counts ? Math.min(RETRY_MS * 2 ** Math.min(job.attempt - 1, 20), MAX_RETRY_MS) : handedOver ? 0 : PASSING_RETRY_MS;
      await this.#jobs.fail(job, lastErrorOf(code, fields), pauseMs, counts).catch(() => {});
      if (handedOver) this.#events.repairHandedOver(job);
      else this.#events.repairFailed(job, code, fields);
    } finally {
      cancelReports();
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }

  /** @param stop called when the lease is lost: somebody else has the job */
  async #report(job: RepairJob, stop: () => void): Promise<void> {
    const progress = await this.#targets.progress(job.repository, job.node).catch(() => undefined);
    // A store that doesn't answer takes no lease away; should it be lost meanwhile, the fence keeps us out.
    const held = await this.#jobs.report(job, progress?.job === job.id ? toProgress(progress) : {}, this.#options.leaseMs).catch(() => true);
    if (!held) stop();
  }

  #count(node: string, difference: number): void {
    const count = (this.#running.get(node) ?? 0) + difference;
    if (count === 0) this.#running.delete(node);
    else this.#running.set(node, count);
  }
}

function toProgress({ objects, totalObjects, bytes, totalBytes }: RepairProgress): JobProgress {
  return { objects, totalObjects, bytes, totalBytes };
}
