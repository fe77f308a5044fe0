import { setTimeout as delay } from 'node:timers/promises';
import { JobAnswer } from '../rest/repair-job.ts';
import { Interrupted, Refused, Unreachable } from './faults.ts';
import { isFailing, isOpen } from './job-text.ts';
import type { Session } from './session.ts';

/** Pause between two looks at a job. */
export const LOOK_MS = 300;
/** How long a silent cluster is asked again: a controller that is started anew is back by then. */
const PATIENCE_MS = 15_000;

/** The world of something that follows: REST and time. */
export interface FollowPorts {
  job(id: string): Promise<JobAnswer>;
  /** @throws Interrupted */
  pause(ms: number): Promise<void>;
  /** Milliseconds that only rise. */
  now(): number;
}

export interface FollowLimits {
  /** A job that has failed so often meanwhile isn't waited for any more. */
  attempts: number;
  /** Nothing is waited for longer than this. */
  timeoutMs: number | undefined;
}

/**
 * Looks at jobs until all have ended, or those that haven't keep failing, or time is up. A job that is gone (its
 * repository was removed) counts as cancelled. A cluster that doesn't answer for a moment is asked again.
 * @param show called with all jobs after each look, and with what is wrong with the cluster
 * @returns the jobs as they were seen last
 * @throws Unreachable, Refused, Interrupted
 */
export async function followJobs(
  ports: FollowPorts, jobs: readonly JobAnswer[], limits: FollowLimits, show: (jobs: readonly JobAnswer[], trouble?: string) => void,
): Promise<JobAnswer[]> {
  const startedAt = ports.now();
  const seen = [...jobs];
  const patience = new Patience(ports.now);
  show(seen);
  for (;;) {
    const going = seen.filter((job, i) => isOpen(job) && !(isFailing(job) && job.attempt - jobs[i]!.attempt >= limits.attempts));
    if (going.length === 0) return seen;
    if (limits.timeoutMs !== undefined && ports.now() - startedAt >= limits.timeoutMs) return seen;
    await ports.pause(LOOK_MS);
    const trouble = await patience.tryTo(async () => {
      for (const [i, job] of seen.entries()) if (isOpen(job)) seen[i] = await lookAt(ports, job);
    });
    show(seen, trouble);
  }
}

/**
 * Looks at one thing until it is over. A cluster that doesn't answer for a moment is asked again.
 * @param what.tell called before each pause
 * @param what.trouble called with what is wrong with the cluster
 * @returns it as it was seen last
 * @throws Unreachable, Refused, Interrupted
 */
export async function followOne<T>(ports: Pick<FollowPorts, 'pause' | 'now'>, first: T, what: {
  isOver(value: T): boolean; look(): Promise<T>; tell(value: T): void; trouble?(text: string): void;
}): Promise<T> {
  const patience = new Patience(ports.now);
  let value = first;
  while (!what.isOver(value)) {
    what.tell(value);
    await ports.pause(LOOK_MS);
    const trouble = await patience.tryTo(async () => { value = await what.look(); });
    if (trouble !== undefined) what.trouble?.(trouble);
  }
  return value;
}

/** Bears with a cluster that doesn't answer, but not for ever. */
export class Patience {
  readonly #now: () => number;
  #silentSince: number | undefined;

  constructor(now: () => number) {
    this.#now = now;
  }

  /**
   * @returns what is wrong with the cluster, if it doesn't answer
   * @throws what `work` throws, once the cluster has been silent for too long, and at once what isn't its silence
   */
  async tryTo(work: () => Promise<void>): Promise<string | undefined> {
    try {
      await work();
      this.#silentSince = undefined;
      return undefined;
    } catch (error) {
      if (!(error instanceof Unreachable || (error instanceof Refused && error.status === 503))) throw error;
      this.#silentSince ??= this.#now();
      if (this.#now() - this.#silentSince >= PATIENCE_MS) throw error;
      return error.message;
    }
  }
}

export function followPorts({ api, signal }: Session): FollowPorts {
  return {
    job: (id) => api.get(JobAnswer, `/api/v1/repair-jobs/${id}`),
    pause: async (ms) => {
      try {
        await delay(ms, undefined, { signal });
      } catch {
        throw new Interrupted();
      }
    },
    now: () => performance.now(),
  };
}

/** The job as it is now; one that is gone counts as cancelled. */
export async function lookAt(ports: FollowPorts, job: JobAnswer): Promise<JobAnswer> {
  try {
    return await ports.job(job.id);
  } catch (error) {
    if (error instanceof Refused && error.status === 404) return { ...job, state: 'cancelled', lastError: 'the job is gone' };
    throw error;
  }
}
