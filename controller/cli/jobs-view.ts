import type { JobAnswer } from '../rest/repair-job.ts';
import { changeKey, changeLine, liveColumns } from './job-text.ts';
import type { Screen } from './terminal/screen.ts';
import { printable } from './terminal/printable.ts';
import { table } from './terminal/table.ts';

/** Shows jobs while they run. */
export interface JobsView {
  show(jobs: readonly JobAnswer[], trouble?: string): void;
  /** Takes away what isn't to stay. */
  end(): void;
}

/** Progress of one repository's jobs on standard error: bars on a terminal, elsewhere a line for each thing that happens. */
export function progressView(screen: Screen): JobsView {
  const live = screen.liveProgress;
  if (live === undefined) return linesView((line) => screen.note(line));
  return {
    show: (jobs, trouble) => {
      const lines = table(jobs, liveColumns(Date.now()).slice(1), { paint: screen.progressPaint });
      live.draw(trouble === undefined ? lines : [...lines, screen.progressPaint('warn', printable(trouble))]);
    },
    end: () => live.clear(),
  };
}

/** A line for each thing that happens to a job. */
export function linesView(write: (line: string) => void): JobsView {
  const changed = changes(changeKey);
  let lastTrouble: string | undefined;
  return {
    show: (jobs, trouble) => {
      for (const job of changed(jobs)) write(printable(changeLine(job, Date.now())));
      if (trouble !== undefined && trouble !== lastTrouble) write(printable(trouble));
      lastTrouble = trouble;
    },
    end: () => {},
  };
}

/** Picks the jobs whose key isn't the one they had the last time. What isn't seen any more is forgotten. */
export function changes(key: (job: JobAnswer) => string): (jobs: readonly JobAnswer[]) => JobAnswer[] {
  let before = new Map<string, string>();
  return (jobs) => {
    const now = new Map(jobs.map((job) => [job.id, key(job)]));
    const changed = jobs.filter((job) => before.get(job.id) !== now.get(job.id));
    before = now;
    return changed;
  };
}
