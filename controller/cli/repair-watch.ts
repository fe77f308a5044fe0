import type { Command } from 'commander';
import { JobPage, type JobAnswer } from '../rest/repair-job.ts';
import { parseNode, parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { Interrupted } from './faults.ts';
import { followPorts, LOOK_MS, lookAt, Patience } from './follow.ts';
import { changeLine, isOpen, liveColumns } from './job-text.ts';
import { changes, linesView, type JobsView } from './jobs-view.ts';
import { act } from './session.ts';
import { formatNumber } from './terminal/format.ts';
import type { LiveLines } from './terminal/live-lines.ts';
import { printable } from './terminal/printable.ts';
import type { Screen } from './terminal/screen.ts';
import { table } from './terminal/table.ts';

/** More than a terminal shows; the rest comes into sight when these are done. */
const JOBS_SHOWN = 200;

interface Options { repository?: string; node?: string; follow?: true }

export function addRepairWatch(parent: Command): void {
  parent.command('watch')
    .description('Shows what is open and what each job does, until nothing is open.\n'
      + 'A table that is drawn anew on a terminal, a line for each change elsewhere; with --json, a job for each line.')
    .option('--repository <name>', 'only jobs of this repository', parseRepository)
    .option('--node <node>', 'only jobs for replicas on this node', parseNode)
    .option('--follow', 'go on when nothing is open')
    .addHelpText('after', examples(
      ['trivet repair watch', 'until the cluster is whole'],
      ['trivet repair watch --follow --node node2', 'what is done for one node, until Ctrl-C'],
      ["trivet repair watch --json | jq -c '[.repository, .node, .state]'", 'each change, for a program'],
    ))
    .action(act<Options>(async (session, { repository, node, follow }) => {
      const { api, screen } = session;
      const view = makeView(screen);
      const ports = followPorts(session);
      const patience = new Patience(ports.now);
      let seen: JobAnswer[] = [];
      try {
        for (;;) {
          const trouble = await patience.tryTo(async () => {
            const { items } = await api.get(JobPage, '/api/v1/repair-jobs', { state: 'open', repository, node, limit: JOBS_SHOWN });
            const ids = new Set(items.map((job) => job.id));
            // What isn't in the list any more has ended, and how is worth telling; or so many are newer that it isn't shown.
            const gone = seen.filter((job) => isOpen(job) && !ids.has(job.id));
            const ended: JobAnswer[] = [];
            for (const job of gone) ended.push(await lookAt(ports, job));
            seen = [...ended.filter((job) => !isOpen(job)), ...items];
          });
          view.show(seen, trouble);
          if (trouble === undefined && follow !== true && !seen.some(isOpen)) break;
          await ports.pause(LOOK_MS);
        }
      } catch (error) {
        if (error instanceof Interrupted) screen.note('Stopped looking; the jobs go on.');
        throw error;
      } finally {
        view.end();
      }
      if (!screen.json) screen.print('Nothing is open.');
      return EXIT.fine;
    }));
}

function makeView(screen: Screen): JobsView {
  if (screen.json) return documentsView((job) => screen.documentLine(job));
  return screen.liveAnswer === undefined ? linesView((line) => screen.print(line)) : tableView(screen, screen.liveAnswer);
}

/** The open jobs as a table; above it, a line stays for each that has ended. */
function tableView(screen: Screen, live: LiveLines): JobsView {
  let told: string[] = [];
  return {
    show: (jobs, trouble) => {
      const now = Date.now();
      const ended = jobs.filter((job) => !isOpen(job) && !told.includes(job.id));
      told = jobs.filter((job) => !isOpen(job)).map((job) => job.id);
      if (ended.length > 0) live.clear(ended.map((job) => printable(changeLine(job, now))));
      const open = jobs.filter(isOpen);
      const running = open.filter((job) => job.state === 'running').length;
      const summary = `${formatNumber(open.length, 'job')} open, ${running} running`;
      live.draw([
        screen.paint('strong', open.length === JOBS_SHOWN ? `the newest ${summary}` : summary),
        ...(open.length === 0 ? [] : table(open, liveColumns(now), { paint: screen.paint })),
        ...(trouble === undefined ? [] : [screen.paint('warn', printable(trouble))]),
      ]);
    },
    end: () => live.clear(),
  };
}

/** Every job that is seen anew or differently, whole. A lease that was extended is no change. */
export function documentsView(write: (job: JobAnswer) => void): JobsView {
  const changed = changes((job) => JSON.stringify({ ...job, leaseUntil: null }));
  return { show: (jobs) => changed(jobs).forEach(write), end: () => {} };
}
