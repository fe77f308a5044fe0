import PQueue from 'p-queue';
import { asTrivetError } from '@trivet/proto/errors.ts';
import type { Events } from '../events.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { RepairJobs } from '../store/jobs.ts';
import type { RepairJob } from '../store/rows.ts';
import type { Repair } from './repair.ts';

const LEASE_MS = 30_000;
const RENEW_MS = 10_000;
/** Pause before a job is tried again: doubles with each attempt. */
const RETRY_MS = 500;
const MAX_RETRY_MS = 60_000;
/** Jobs opened by one sweep at most. */
const SWEEP_LIMIT = 100;

/**
 * Claims repair jobs and runs them, a few at a time. A job is a row with a lease: if this controller dies, another
 * takes it over when the lease ends, and what this one says afterwards no longer counts.
 */
export class Reconcile {
  readonly #jobs: RepairJobs;
  readonly #repair: Repair;
  readonly #nodes: NodeRegistry;
  readonly #events: Events;
  readonly #holder: string;
  readonly #queue: PQueue;
  readonly #stop = new AbortController();
  #looking = false;
  #again = false;

  constructor(input: {
    jobs: RepairJobs; repair: Repair; nodes: NodeRegistry; events: Events; holder: string; concurrency: number;
  }) {
    this.#jobs = input.jobs;
    this.#repair = input.repair;
    this.#nodes = input.nodes;
    this.#events = input.events;
    this.#holder = input.holder;
    this.#queue = new PQueue({ concurrency: input.concurrency });
  }

  /** Looks for due jobs now. Called by a timer, and whenever something suggests that there are some. */
  poke(): void {
    if (this.#looking) {
      this.#again = true;
      return;
    }
    this.#looking = true;
    // A store that doesn't answer is told by the requests that need it; here the next tick tries again.
    void this.#claim().catch(() => {}).finally(() => {
      this.#looking = false;
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

  /** Ends what runs; jobs go back into the line. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#queue.onIdle();
  }

  async #claim(): Promise<void> {
    const free = this.#queue.concurrency - this.#queue.pending - this.#queue.size;
    if (free <= 0 || this.#stop.signal.aborted) return;
    for (const job of await this.#jobs.claim({ holder: this.#holder, leaseMs: LEASE_MS, limit: free })) {
      void this.#queue.add(() => this.#run(job)).finally(() => this.poke());
    }
  }

  async #run(job: RepairJob): Promise<void> {
    const startedAt = performance.now();
    const cancel = new AbortController();
    const stop = () => cancel.abort();
    this.#stop.signal.addEventListener('abort', stop);
    const renewal = setInterval(() => {
      // A lease that is lost means that somebody else has the job.
      void this.#jobs.renew(job, LEASE_MS).then((held) => { if (!held) stop(); }, () => {});
    }, RENEW_MS);
    try {
      if (this.#nodes.usable(job.node) === undefined) throw new Unusable();
      await this.#repair.run(job, cancel.signal);
      await this.#jobs.finish(job);
      this.#events.repaired(job.repository, job.node, job.reason, performance.now() - startedAt);
    } catch (error) {
      const fault = asTrivetError(error);
      const code = error instanceof Unusable ? 'node_unreachable' : fault.code;
      // A node that is down isn't a failed repair, and is looked at again soon.
      const pauseMs = error instanceof Unusable ? RETRY_MS : Math.min(RETRY_MS * 2 ** Math.min(job.attempt, 20), MAX_RETRY_MS);
      await this.#jobs.fail(job, code, pauseMs).catch(() => {});
      if (!(error instanceof Unusable)) this.#events.repairFailed(job.repository, job.node, job.reason, code, fault.fields);
    } finally {
      clearInterval(renewal);
      this.#stop.signal.removeEventListener('abort', stop);
    }
  }
}

/** The target can't be reached at the moment. */
class Unusable extends Error {}
