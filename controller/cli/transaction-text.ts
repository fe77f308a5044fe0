import type { TransactionAnswer } from '../rest/transaction.ts';
import { formatDuration, formatTime } from './terminal/format.ts';
import type { Tone } from './terminal/paint.ts';
import { record, type Cell, type Column, type TableOptions } from './terminal/table.ts';

// How a transaction is told to people.

const TONES: Record<TransactionAnswer['outcome'], Tone> = { commit: 'good', abort: 'faint', in_doubt: 'warn' };

export const TRANSACTION_COLUMNS: Column<TransactionAnswer>[] = [
  { title: 'TRANSACTION', cell: (transaction) => transaction.id },
  { title: 'REPOSITORY', cell: repositoryOf },
  { title: 'OUTCOME', cell: outcomeCell },
  { title: 'GENERATION', cell: ({ generation }) => (generation === null ? '' : String(generation)), right: true },
  { title: 'DECIDED', cell: ({ decidedAt }) => (decidedAt === null ? '' : formatTime(decidedAt)) },
  { title: 'BY', cell: ({ decidedBy }) => decidedBy ?? '' },
  { title: 'PROMISED ON', cell: promisesOf },
];

/** One transaction, a line for each thing that is known of it. */
export function describeTransaction(transaction: TransactionAnswer, options: TableOptions): string[] {
  const { id, batch, generation, decidedAt, decidedBy, promises } = transaction;
  return record([
    ['transaction', id],
    ['repository', repositoryOf(transaction)],
    ['outcome', outcomeCell(transaction)],
    ...(generation === null ? [] : [['generation', String(generation)] as const]),
    ...(decidedAt === null ? [] : [['decided', `${formatTime(decidedAt)}${decidedBy === null ? '' : ` by ${decidedBy}`}`] as const]),
    ['batch', batch],
    ...(promises.length === 0 ? [] : [['promised on', promisesOf(transaction)] as const]),
  ], options);
}

function repositoryOf({ repository, repositoryId }: TransactionAnswer): string {
  return repository ?? `${repositoryId} (removed)`;
}

function outcomeCell({ outcome }: TransactionAnswer): Cell {
  return { text: outcome, tone: TONES[outcome] };
}

function promisesOf({ promises }: TransactionAnswer): string {
  return promises.map(({ node, ageMs }) => `${node} (for ${formatDuration(ageMs)})`).join(', ');
}
