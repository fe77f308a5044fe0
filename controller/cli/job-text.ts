import type { JobAnswer } from '../rest/repair-job.ts';
import { formatBar, formatBytes, formatCount, formatDuration, formatUntil } from './terminal/format.ts';
import type { Tone } from './terminal/paint.ts';
import type { Cell, Column } from './terminal/table.ts';

// How a repair job is told to people.

const BAR_WIDTH = 20;

export function isOpen(job: JobAnswer): boolean {
  return job.state === 'waiting' || job.state === 'running';
}

/** Waiting for another attempt because the last one failed. */
export function isFailing(job: JobAnswer): boolean {
  return job.state === 'waiting' && job.lastError !== null;
}

export function stateCell(job: JobAnswer): Cell {
  return isFailing(job) ? { text: 'failing', tone: 'bad' } : { text: job.state, tone: TONES[job.state] };
}

const TONES: Record<JobAnswer['state'], Tone> = { waiting: 'warn', running: 'busy', done: 'good', cancelled: 'faint' };

/** What is being done about it, or became of it. */
export function doing(job: JobAnswer, nowMs: number): string {
  switch (job.state) {
    case 'waiting':
      if (job.lastError === null) return 'waits to be taken up';
      return `attempt ${job.attempt} failed: ${job.lastError}; next ${formatUntil(job.nextAttemptAt, nowMs)}`;
    case 'running': {
      if (job.way === null) return 'looks at the replica';
      if (job.way === 'verify') return 'verifies the replica';
      return `${job.way}${job.source === null ? '' : ` from ${job.source}`}, round ${job.round}`;
    }
    case 'done': {
      const tookMs = Date.parse(job.finishedAt ?? '') - Date.parse(job.startedAt ?? '');
      return `${job.way ?? 'current already'}${tookMs >= 0 ? `, ${formatDuration(tookMs)}` : ''}`;
    }
    case 'cancelled': return 'cancelled';
  }
}

/** `1,200 of 5,000 objects, 12 MiB of 27 MiB` while it is open, what was brought afterwards; empty when that is nothing. */
export function amount(job: JobAnswer): string {
  const { objects, bytes } = job.progress;
  const { totalObjects, totalBytes } = isOpen(job) ? job.progress : { totalObjects: null, totalBytes: null };
  const parts: string[] = [];
  if (objects > 0 || totalObjects !== null) parts.push(`${formatCount(objects)}${totalObjects === null ? '' : ` of ${formatCount(totalObjects)}`} objects`);
  if (bytes > 0 || totalBytes !== null) parts.push(`${formatBytes(bytes)}${totalBytes === null ? '' : ` of ${formatBytes(totalBytes)}`}`);
  return parts.join(', ');
}

/** How much of the work is done, 0 to 1; undefined while nobody knows how much there is. */
export function share({ state, progress: { objects, totalObjects, bytes, totalBytes } }: JobAnswer): number | undefined {
  if (state === 'done') return 1;
  if (totalBytes !== null && totalBytes > 0) return bytes / totalBytes;
  return totalObjects !== null && totalObjects > 0 ? objects / totalObjects : undefined;
}

/** A live table of jobs: the bar comes early, as a narrow terminal cuts the end. The first column is the repository. */
export function liveColumns(nowMs: number): Column<JobAnswer>[] {
  return [
    { title: 'REPOSITORY', cell: (job) => job.repository },
    { title: 'NODE', cell: (job) => job.node },
    { title: 'STATE', cell: stateCell },
    { title: 'PROGRESS', cell: (job) => formatBar(share(job), BAR_WIDTH) },
    { title: 'BROUGHT', cell: amount },
    { title: 'WHAT', cell: (job) => doing(job, nowMs) },
  ];
}

/** A table of jobs that stays. */
export function jobColumns(nowMs: number): Column<JobAnswer>[] {
  return [
    { title: 'JOB', cell: (job) => job.id },
    { title: 'REPOSITORY', cell: (job) => job.repository },
    { title: 'NODE', cell: (job) => job.node },
    { title: 'REASON', cell: (job) => job.reason },
    { title: 'STATE', cell: stateCell },
    { title: 'TRIES', cell: (job) => String(job.attempt), right: true },
    { title: 'BROUGHT', cell: amount },
    { title: 'WHAT', cell: (job) => doing(job, nowMs) },
  ];
}

/** One line for a log: what has changed about a job. */
export function changeLine(job: JobAnswer, nowMs: number): string {
  const brought = amount(job);
  const state = stateCell(job);
  return `${new Date(nowMs).toISOString()} ${job.repository} on ${job.node}: ${typeof state === 'string' ? state : state.text}, ${doing(job, nowMs)}${brought === '' ? '' : ` (${brought})`}`;
}

/** Equal for two sights of a job between which nothing has happened that a log should tell. */
export function changeKey({ state, attempt, way, source, round, lastError }: JobAnswer): string {
  return JSON.stringify([state, attempt, way, source, round, lastError]);
}
