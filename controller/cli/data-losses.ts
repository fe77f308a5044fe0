import type { Command } from 'commander';
import { DataLossPage, type DataLossAnswer } from '../rest/data-loss.ts';
import { parseId, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';
import { formatTime } from './terminal/format.ts';
import type { Column } from './terminal/table.ts';

interface Options { after?: string; limit: number }

export function addDataLosses(parent: Command): void {
  parent.command('data-losses')
    .description('Lists the acknowledged pushes that operators gave up with accept-data-loss, the newest first: who, when and why.')
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <loss>', 'only those older than this one: the next page', parseId)
    .addHelpText('after', examples(['trivet data-losses', 'has anything ever been given up?']))
    .action(act<Options>(async ({ api, screen }, { after, limit }) => {
      const page = await api.get(DataLossPage, '/api/v1/data-losses', { after, limit });
      showPage(screen, page, COLUMNS, 'Nothing was ever given up.');
      return EXIT.fine;
    }));
}

const COLUMNS: Column<DataLossAnswer>[] = [
  { title: 'LOSS', cell: ({ id }) => id ?? '' },
  { title: 'REPOSITORY', cell: (loss) => loss.repository },
  { title: 'WHEN', cell: ({ acceptedAt }) => (acceptedAt === null ? '' : formatTime(acceptedAt)) },
  { title: 'SOURCE', cell: (loss) => loss.source },
  { title: 'GENERATIONS LOST', cell: ({ lost }) => String(lost.generations), right: true },
  { title: 'BY', cell: (loss) => loss.acceptedBy },
  { title: 'REASON', cell: (loss) => loss.reason },
];
