import type { Command } from 'commander';
import { ImportAnswer } from '../rest/import.ts';
import { parseId } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { importLine } from './repository-text.ts';
import { act } from './session.ts';

export function addReposCancelImport(parent: Command): void {
  parent.command('cancel-import')
    .description('Ends an import; its repository goes with it. One whose push was committed already is done instead.')
    .argument('<import>', 'id of the import', parseId)
    .addHelpText('after', examples(['trivet repos cancel-import 019abc0123456789abcdef0123456789', 'never mind']))
    .action(act(async ({ api, screen }, _options, id) => {
      const ended = await api.post(ImportAnswer, `/api/v1/imports/${id}/cancel`);
      if (screen.json) screen.document(ended);
      else screen.print(importLine(ended));
      return EXIT.fine;
    }));
}
