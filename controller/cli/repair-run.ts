import type { Command } from 'commander';
import { OpenedJobs, type JobAnswer } from '../rest/repair-job.ts';
import { parseNode, parseRepository, parseTime, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { Interrupted } from './faults.ts';
import { followJobs, followPorts } from './follow.ts';
import { jobColumns } from './job-text.ts';
import { progressView } from './jobs-view.ts';
import { act, type Session } from './session.ts';
import { table } from './terminal/table.ts';

interface Options { node?: string; wait: boolean; timeout?: number; attempts: number }

export function addRepairRun(parent: Command): void {
  parent.command('run')
    .description('Has the replicas of a repository repaired that aren\'t current, and follows that to its end.\n'
      + 'Exit status 1: a job was cancelled, keeps failing, or takes longer than --timeout. It goes on all the same.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .option('--node <node>', 'only the replica on this node; one that is current is checked in full', parseNode)
    .option('--no-wait', 'only open the jobs')
    .option('--timeout <time>', 'follow for so long at most, such as 90s, 10m, 2h', parseTime)
    .option('--attempts <count>', 'leave a job that has failed so often', wholeNumber(1, 1_000), 5)
    .addHelpText('after', examples(
      ['trivet repair run org/repo', 'every replica that needs it, with a progress bar'],
      ['trivet repair run org/repo --node node2', 'check this replica in full, repair it if need be'],
      ['trivet repair run org/repo --no-wait --json', 'open the jobs and go on'],
      ['trivet repair run org/repo --timeout 10m || alert', 'in a script'],
    ))
    .action(act<Options>(async (session, options, repository) => {
      const { api, screen } = session;
      // As long as it takes: a replica that is current is checked in full before the answer.
      const opened = await api.post(OpenedJobs, '/api/v1/repair-jobs', { repository, node: options.node }, 0);
      const jobs = options.wait ? await follow(session, opened.items, options) : opened.items;
      if (screen.json) screen.document({ items: jobs } satisfies OpenedJobs);
      else if (jobs.length === 0) screen.print(`Nothing to repair: ${options.node === undefined ? 'every replica' : `the replica on ${options.node}`} of ${repository} is current.`);
      else screen.print(...table(jobs, jobColumns(Date.now()), screen));
      return !options.wait || jobs.every((job) => job.state === 'done') ? EXIT.fine : EXIT.failed;
    }));
}

/** Shows jobs until they have ended. Whoever stops looking leaves them as they are. */
async function follow(session: Session, jobs: readonly JobAnswer[], { attempts, timeout }: Options): Promise<JobAnswer[]> {
  const view = progressView(session.screen);
  try {
    return await followJobs(followPorts(session), jobs, { attempts, timeoutMs: timeout }, (seen, trouble) => view.show(seen, trouble));
  } catch (error) {
    view.end();
    const ids = jobs.map((job) => job.id);
    if (error instanceof Interrupted) session.screen.note('Stopped looking; the repair goes on. See what becomes of it:');
    else session.screen.note('Lost sight of the repair, which goes on as soon as the cluster does:');
    session.screen.note(...ids.map((id) => `  trivet repair show ${id}`));
    throw error;
  } finally {
    view.end();
  }
}
