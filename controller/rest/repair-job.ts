import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { Count, OrNull, Time } from './parts.ts';

export const JOB_STATES = ['waiting', 'running', 'done', 'cancelled'] as const;
export const JOB_REASONS = ['outdated', 'diverged', 'missing', 'corrupt', 'new_replica', 'move'] as const;
export const JOB_WAYS = ['verify', 'fetch', 'heal', 'rebuild'] as const;

/** The work of making one replica current again. */
export const JobAnswer = Type.Object({
  id: Type.String(),
  repository: Type.String(),
  repositoryId: Type.String(),
  /** Whose replica is repaired. */
  node: Type.String(),
  /** The node it takes from; null while none is chosen. */
  source: OrNull(Type.String()),
  reason: Type.Enum([...JOB_REASONS]),
  detail: Type.String(),
  state: Type.Enum([...JOB_STATES]),
  /** `verify`: nothing to bring over. `fetch`, `heal`, `rebuild`: as in docs/protocol.md. Null before it is chosen. */
  way: OrNull(Type.Enum([...JOB_WAYS])),
  round: Count,
  /** How many times somebody took it up. */
  attempt: Count,
  /** A total is null while nobody knows it. */
  progress: Type.Object({ objects: Count, totalObjects: OrNull(Count), bytes: Count, totalBytes: OrNull(Count) }),
  /** The controller that works on it, and until when that counts without a sign of life. */
  holder: OrNull(Type.String()),
  leaseUntil: OrNull(Time),
  nextAttemptAt: Time,
  /** Of the last attempt that failed. */
  lastError: OrNull(Type.String()),
  createdAt: Time,
  startedAt: OrNull(Time),
  finishedAt: OrNull(Time),
});
export type JobAnswer = Static<typeof JobAnswer>;

export const JobPage = Page(JobAnswer);
export type JobPage = Static<typeof JobPage>;

/** The jobs that a request for repair has opened, or found open. */
export const OpenedJobs = Type.Object({ items: Type.Array(JobAnswer) });
export type OpenedJobs = Static<typeof OpenedJobs>;
