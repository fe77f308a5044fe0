import type { Command } from 'commander';
import { JobAnswer } from '../rest/repair-job.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';

export function addRepairCancel(parent: Command): void {
  parent.command('cancel')
    .description('Cancels an open repair job. The replica stays as it is: not current, until another job repairs it.')
    .argument('<job>', 'id of the job', parseId)
    .addHelpText('after', examples(
      ['trivet repair cancel 019abc0123456789abcdef0123456789', 'stop a repair that is in the way'],
    ))
    .action(act(async ({ api, screen }, _options, id) => {
      const job = await api.post(JobAnswer, `/api/v1/repair-jobs/${id}/cancel`);
      if (screen.json) screen.document(job);
      else screen.print(`Cancelled. The replica of ${job.repository} on ${job.node} stays ${job.reason} until: trivet repair run ${job.repository} --node ${job.node}`);
      return EXIT.fine;
    }));
}
