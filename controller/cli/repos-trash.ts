import type { Command } from 'commander';
import { RepositoryPage } from '../rest/repository.ts';
import { parseId, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { trashColumns } from './repository-text.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';

interface Options { after?: string; limit: number }

export function addReposTrash(parent: Command): void {
  parent.command('trash')
    .description('Lists what was deleted and can be restored, with the name it had.')
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <id>', 'only those behind this one: the next page', parseId)
    .addHelpText('after', examples(['trivet repos trash', 'what is there, and for how long']))
    .action(act<Options>(async ({ api, screen }, { after, limit }) => {
      const page = await api.get(RepositoryPage, '/api/v1/trash', { after, limit });
      showPage(screen, page, trashColumns(Date.now()), 'The trash is empty.');
      return EXIT.fine;
    }));
}
