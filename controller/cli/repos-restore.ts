import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { findTrashed, parseTrashed } from './trashed.ts';

interface Options { name?: string }

export function addReposRestore(parent: Command): void {
  parent.command('restore')
    .description('Takes a repository out of the trash, as it was when it was deleted.')
    .argument('<repository>', 'the name it had, or its id', parseTrashed)
    .option('--name <name>', 'another name: its own may be taken', parseRepository)
    .addHelpText('after', examples(
      ['trivet repos restore org/repo', 'back again'],
      ['trivet repos restore org/repo --name org/old', 'beside the one that has its name now'],
    ))
    .action(act<Options>(async (session, { name }, which) => {
      const found = await findTrashed(session, which!);
      if (found === undefined) return EXIT.usage;
      const repository = await session.api.post(RepositoryAnswer, `/api/v1/trash/${found.id}/restore`, name === undefined ? {} : { name });
      if (session.screen.json) session.screen.document(repository);
      else session.screen.print(`${repository.name} is restored, at generation ${repository.generation}.`);
      return EXIT.fine;
    }));
}
