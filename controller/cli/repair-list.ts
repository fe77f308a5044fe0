import { Option, type Command } from 'commander';
import { JOB_STATES, JobPage } from '../rest/repair-job.ts';
import { parseId, parseNode, parseRepository, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { jobColumns } from './job-text.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';

interface Options { state: string; repository?: string; node?: string; after?: string; limit: number }

export function addRepairList(parent: Command): void {
  parent.command('list')
    .description('Lists repair jobs, the newest first.')
    .addOption(new Option('--state <state>', 'only jobs in this state; open: waiting or running').choices(['open', ...JOB_STATES, 'all']).default('open'))
    .option('--repository <name>', 'only jobs of this repository', parseRepository)
    .option('--node <node>', 'only jobs for replicas on this node', parseNode)
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <job>', 'only jobs older than this one: the next page', parseId)
    .addHelpText('after', examples(
      ['trivet repair list', 'what is open'],
      ['trivet repair list --state all --repository org/repo', 'what has been done for one repository'],
      ["trivet repair list --json | jq '.items[].lastError'", 'why jobs fail'],
    ))
    .action(act<Options>(async ({ api, screen }, { state, repository, node, after, limit }) => {
      const page = await api.get(JobPage, '/api/v1/repair-jobs', { state: state === 'all' ? undefined : state, repository, node, after, limit });
      showPage(screen, page, jobColumns(Date.now()), state === 'all' ? 'No repair jobs.' : `No ${state} repair jobs.`);
      return EXIT.fine;
    }));
}
