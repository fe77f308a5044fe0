import type { Command } from 'commander';
import { RepositoryPage } from '../rest/repository.ts';
import { parseRepository, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { REPOSITORY_COLUMNS } from './repository-text.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';

interface Options { after?: string; limit: number }

export function addReposList(parent: Command): void {
  parent.command('list')
    .description('Lists repositories by name.')
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <repository>', 'only those behind this name: the next page', parseRepository)
    .addHelpText('after', examples(
      ['trivet repos list', 'what there is'],
      ["trivet repos list --json | jq -r '.items[].name'", 'their names'],
    ))
    .action(act<Options>(async ({ api, screen }, { after, limit }) => {
      const page = await api.get(RepositoryPage, '/api/v1/repositories', { after, limit });
      showPage(screen, page, REPOSITORY_COLUMNS, 'No repositories.');
      return EXIT.fine;
    }));
}
