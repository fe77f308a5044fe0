import type { Command } from 'commander';
import { JobAnswer } from '../rest/repair-job.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';

export function addRepairRetry(parent: Command): void {
  parent.command('retry')
    .description('Has an open repair job tried again now, whatever pause it is in after a failure.')
    .argument('<job>', 'id of the job', parseId)
    .addHelpText('after', examples(
      ['trivet repair retry 019abc0123456789abcdef0123456789', 'the cause has been removed: no need to wait'],
    ))
    .action(act(async ({ api, screen }, _options, id) => {
      const job = await api.post(JobAnswer, `/api/v1/repair-jobs/${id}/retry`);
      if (screen.json) screen.document(job);
      else screen.print(`The job for ${job.repository} on ${job.node} is due now.`);
      return EXIT.fine;
    }));
}
