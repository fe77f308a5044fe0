import { Option, type Command } from 'commander';
import { TRANSACTION_OUTCOMES, TransactionPage, type TransactionAnswer } from '../rest/transaction.ts';
import { parseId, parseRepository, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';
import { TRANSACTION_COLUMNS } from './transaction-text.ts';

interface Options { repository?: string; outcome?: TransactionAnswer['outcome']; after?: string; limit: number }

export function addTransactionsList(parent: Command): void {
  parent.command('list')
    .description('Lists transactions (pushes) and what was decided about them, the newest first.')
    .option('--repository <name>', 'only those of this repository', parseRepository)
    .addOption(new Option('--outcome <outcome>', 'only these; in_doubt: a node has promised, and nothing is decided').choices([...TRANSACTION_OUTCOMES]))
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <transaction>', 'only those older than this one: the next page', parseId)
    .addHelpText('after', examples(
      ['trivet transactions list --outcome in_doubt', 'which pushes hang'],
      ['trivet transactions list --repository org/repo --limit 10', 'the last pushes to one repository'],
    ))
    .action(act<Options>(async ({ api, screen }, { repository, outcome, after, limit }) => {
      const page = await api.get(TransactionPage, '/api/v1/transactions', { repository, outcome, after, limit });
      showPage(screen, page, TRANSACTION_COLUMNS, 'No such transactions.');
      return EXIT.fine;
    }));
}
