import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { isConfirmed } from './confirmation.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { findTrashed, parseTrashed } from './trashed.ts';

interface Options { yes?: string }

export function addReposPurge(parent: Command): void {
  parent.command('purge')
    .description('Takes a repository out of the trash for good, before its time: its copies are deleted from all disks.')
    .argument('<repository>', 'the name it had, or its id', parseTrashed)
    .option('--yes <name>', 'the name it had, once more: do it', parseRepository)
    .addHelpText('after', examples(['trivet repos purge org/repo --yes org/repo', 'nobody will see it again']))
    .action(act<Options>(async (session, { yes }, which) => {
      const { api, screen } = session;
      const found = await findTrashed(session, which!);
      if (found === undefined || !isConfirmed(screen, yes, found.name, `this deletes ${found.name} (${found.id}) for good`)) return EXIT.usage;
      const repository = await api.delete(RepositoryAnswer, `/api/v1/trash/${found.id}`);
      if (screen.json) screen.document(repository);
      else screen.print(`${repository.name} (${repository.id}) is purged.`);
      return EXIT.fine;
    }));
}
