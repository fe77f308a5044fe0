import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { newRepositoryBody, yesOrNo, type NewRepositoryOptions } from './new-repository.ts';
import { repositoryEntries, repositoryPath } from './repository-text.ts';
import { act } from './session.ts';
import { record } from './terminal/table.ts';

export function addReposSet(parent: Command): void {
  parent.command('set')
    .description('Changes how many replicas a repository has, its default branch, or what it lets a push do.\n'
      + 'The default branch is changed alone, by a transaction in which every replica takes part.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .option('--default-branch <branch>', 'what HEAD shall point at: a branch that is there')
    .option('--factor <count>', 'how many replicas it shall have', wholeNumber(1, 9))
    .option('--deny-non-fast-forwards <yes-or-no>', 'whether forced pushes to branches are refused', yesOrNo)
    .option('--deny-deletes <yes-or-no>', 'whether deletions of refs are refused', yesOrNo)
    .addHelpText('after', examples(
      ['trivet repos set org/repo --factor 5', 'two replicas more, step by step'],
      ['trivet repos set org/repo --default-branch trunk', 'on all replicas at once'],
    ))
    .action(act<NewRepositoryOptions>(async ({ api, screen }, options, name) => {
      const repository = await api.patch(RepositoryAnswer, repositoryPath(name!), newRepositoryBody(options));
      if (screen.json) screen.document(repository);
      else screen.print(...record(repositoryEntries(repository), screen));
      return EXIT.fine;
    }));
}
