import type { JobAnswer } from '../rest/repair-job.ts';

/** Test support: a job as REST shows it. */
export function makeJobAnswer(values: Partial<JobAnswer> = {}): JobAnswer {
  const at = '2026-11-25T12:00:00.000Z';
  return {
    id: 'a'.repeat(32), repository: 'org/repo', repositoryId: 'b'.repeat(32), node: 'node2', source: null, reason: 'outdated',
    detail: 'missed a commit', state: 'waiting', way: null, round: 0, attempt: 0,
    progress: { objects: 0, totalObjects: null, bytes: 0, totalBytes: null }, holder: null, leaseUntil: null, nextAttemptAt: at,
    lastError: null, createdAt: at, startedAt: null, finishedAt: null, ...values,
  };
}
