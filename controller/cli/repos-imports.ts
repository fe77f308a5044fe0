import { Option, type Command } from 'commander';
import { IMPORT_STATES, ImportPage, type ImportAnswer } from '../rest/import.ts';
import { parseId, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { importLine } from './repository-text.ts';
import { act } from './session.ts';
import { showPage } from './show-page.ts';
import type { Column } from './terminal/table.ts';

interface Options { state: string; after?: string; limit: number }

export function addReposImports(parent: Command): void {
  parent.command('imports')
    .description('Lists imports, the newest first, with how far they are and why they failed.')
    .addOption(new Option('--state <state>', 'only imports in this state; open: waiting or running').choices(['open', ...IMPORT_STATES, 'all']).default('open'))
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <import>', 'only imports older than this one: the next page', parseId)
    .addHelpText('after', examples(
      ['trivet repos imports', 'what is under way'],
      ['trivet repos imports --state failed', 'what went wrong'],
    ))
    .action(act<Options>(async ({ api, screen }, { state, after, limit }) => {
      const page = await api.get(ImportPage, '/api/v1/imports', { state: state === 'all' ? undefined : state, after, limit });
      showPage(screen, page, IMPORT_COLUMNS, state === 'all' ? 'No imports.' : `No ${state} imports.`);
      return EXIT.fine;
    }));
}

const IMPORT_COLUMNS: Column<ImportAnswer>[] = [
  { title: 'ID', cell: ({ id }) => id },
  { title: 'SOURCE', cell: ({ source }) => source },
  { title: 'WHAT', cell: importLine },
];
