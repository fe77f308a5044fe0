import type { Command } from 'commander';
import { TransactionAnswer } from '../rest/transaction.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { describeTransaction } from './transaction-text.ts';

export function addTransactionsSettle(parent: Command): void {
  parent.command('settle')
    .description('Has a transaction in doubt decided now, as a node would ask: abort, unless it is committed already.\n'
      + 'Every node that holds a promise for it is told. Harmless for one that is decided. Exit status 1: it still is in doubt.')
    .argument('<transaction>', 'id of the transaction', parseId)
    .addHelpText('after', examples(
      ['trivet transactions list --outcome in_doubt', 'find it'],
      ['trivet transactions settle 019abc0123456789abcdef0123456789', 'and end it'],
    ))
    .action(act(async ({ api, screen }, _options, id) => {
      const transaction = await api.post(TransactionAnswer, `/api/v1/transactions/${id}/settle`);
      if (screen.json) screen.document(transaction);
      else screen.print(...describeTransaction(transaction, screen));
      return transaction.outcome === 'in_doubt' ? EXIT.failed : EXIT.fine;
    }));
}
