import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { isConfirmed } from './confirmation.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { repositoryPath } from './repository-text.ts';
import { act } from './session.ts';
import { formatUntil } from './terminal/format.ts';

interface Options { yes?: string }

export function addReposDelete(parent: Command): void {
  parent.command('delete')
    .description('Puts a repository into the trash: nobody can read it or push to it, and its name is free. It can be restored for a while.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .option('--yes <name>', 'its name once more: do it', parseRepository)
    .addHelpText('after', examples(
      ['trivet repos delete org/repo --yes org/repo', 'gone for everybody'],
      ['trivet repos trash', 'and still there'],
    ))
    .action(act<Options>(async ({ api, screen }, { yes }, name) => {
      if (!isConfirmed(screen, yes, name!, `this deletes ${name}`)) return EXIT.usage;
      const repository = await api.delete(RepositoryAnswer, repositoryPath(name!));
      if (screen.json) screen.document(repository);
      else screen.print(`${name} is in the trash as ${repository.id}, to be purged ${formatUntil(repository.expiresAt!, Date.now())}.`);
      return EXIT.fine;
    }));
}
