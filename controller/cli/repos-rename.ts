import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { repositoryPath } from './repository-text.ts';
import { act } from './session.ts';

export function addReposRename(parent: Command): void {
  parent.command('rename')
    .description('Gives a repository another name. Pushes and clones that run go on; the old name leads nowhere.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .argument('<name>', 'its new name', parseRepository)
    .addHelpText('after', examples(['trivet repos rename org/repo org/better', 'from one moment to the next']))
    .action(act(async ({ api, screen }, _options, name, newName) => {
      const repository = await api.patch(RepositoryAnswer, repositoryPath(name!), { name: newName });
      if (screen.json) screen.document(repository);
      else screen.print(`${name} is now ${repository.name}.`);
      return EXIT.fine;
    }));
}
