import type { Command } from 'commander';
import { RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { repositoryEntries, repositoryPath } from './repository-text.ts';
import { act } from './session.ts';
import { record, table } from './terminal/table.ts';

export function addReposShow(parent: Command): void {
  parent.command('show')
    .description('Shows a repository, and where its replicas are.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .addHelpText('after', examples(['trivet repos show org/repo', 'what it is, and where']))
    .action(act(async ({ api, screen }, _options, name) => {
      const repository = await api.get(RepositoryAnswer, repositoryPath(name!));
      if (screen.json) screen.document(repository);
      else {
        screen.print(...record(repositoryEntries(repository), screen), '', ...table(repository.replicas, [
          { title: 'NODE', cell: (replica) => replica.node },
          { title: 'STATE', cell: ({ state }) => ({ text: state, tone: state === 'current' ? 'good' : 'bad' }) },
          { title: 'GENERATION', cell: (replica) => String(replica.generation), right: true },
          { title: 'REASON', cell: (replica) => replica.reason ?? '' },
        ], screen));
      }
      return EXIT.fine;
    }));
}
