import type { Command } from 'commander';
import { TransactionAnswer } from '../rest/transaction.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { describeTransaction } from './transaction-text.ts';

export function addTransactionsShow(parent: Command): void {
  parent.command('show')
    .description('Shows one transaction: what was decided, by whom, and which nodes still hold a promise.')
    .argument('<transaction>', 'id of the transaction', parseId)
    .addHelpText('after', examples(
      ['trivet transactions show 019abc0123456789abcdef0123456789', 'what became of this push'],
    ))
    .action(act(async ({ api, screen }, _options, id) => {
      const transaction = await api.get(TransactionAnswer, `/api/v1/transactions/${id}`);
      if (screen.json) screen.document(transaction);
      else screen.print(...describeTransaction(transaction, screen));
      return EXIT.fine;
    }));
}
