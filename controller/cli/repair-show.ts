import type { Command } from 'commander';
import { JobAnswer } from '../rest/repair-job.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { amount, doing, isFailing, share, stateCell } from './job-text.ts';
import { act } from './session.ts';
import { formatAge, formatBar, formatTime, formatUntil } from './terminal/format.ts';
import { record, type Cell } from './terminal/table.ts';

const BAR_WIDTH = 30;

export function addRepairShow(parent: Command): void {
  parent.command('show')
    .description('Shows everything about one repair job. Exit status 1: it keeps failing.')
    .argument('<job>', 'id of the job', parseId)
    .addHelpText('after', examples(
      ['trivet repair show 019abc0123456789abcdef0123456789', 'how far it is, and why it failed last'],
      ['trivet repair show 019abc0123456789abcdef0123456789 --json', 'the same for a program'],
    ))
    .action(act(async ({ api, screen }, _options, id) => {
      const job = await api.get(JobAnswer, `/api/v1/repair-jobs/${id}`);
      if (screen.json) screen.document(job);
      else screen.print(...describe(job, Date.now(), screen));
      return isFailing(job) ? EXIT.failed : EXIT.fine;
    }));
}

/** One job, a line for each thing that is known of it. */
export function describe(job: JobAnswer, nowMs: number, screen: Parameters<typeof record>[1]): string[] {
  const brought = amount(job);
  const entries: [string, Cell | null][] = [
    ['job', job.id],
    ['repository', job.repository],
    ['replica on', job.node],
    ['reason', `${job.reason}: ${job.detail}`],
    ['state', stateCell(job)],
    ['what', doing(job, nowMs)],
    ['progress', job.state === 'running' ? formatBar(share(job), BAR_WIDTH) : null],
    ['brought', brought === '' ? null : brought],
    ['source', job.source],
    ['attempts', String(job.attempt)],
    ['last error', job.lastError === null ? null : { text: job.lastError, tone: job.state === 'done' ? 'plain' : 'bad' }],
    ['next attempt', job.state === 'waiting' ? formatUntil(job.nextAttemptAt, nowMs) : null],
    ['holder', job.holder === null ? null : `${job.holder}${job.leaseUntil === null ? '' : `, lease ends ${formatUntil(job.leaseUntil, nowMs)}`}`],
    ['opened', when(job.createdAt, nowMs)],
    ['started', job.startedAt === null ? null : when(job.startedAt, nowMs)],
    ['finished', job.finishedAt === null ? null : when(job.finishedAt, nowMs)],
  ];
  return record(entries.filter((entry): entry is [string, Cell] => entry[1] !== null), screen);
}

function when(time: string, nowMs: number): string {
  return `${formatTime(time)} (${formatAge(time, nowMs)} ago)`;
}
