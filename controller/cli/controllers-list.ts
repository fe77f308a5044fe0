import type { Command } from 'commander';
import { ControllerPage, type ControllerAnswer } from '../rest/controller.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { formatTime } from './terminal/format.ts';
import { table, type Column } from './terminal/table.ts';

export function addControllersList(parent: Command): void {
  parent.command('list')
    .description('Lists the controllers of the last day, and the settings in which one that runs is not like the newest.')
    .addHelpText('after', examples(['trivet controllers list', 'do all controllers run, and with the same settings?']))
    .action(act(async ({ api, screen }) => {
      const page = await api.get(ControllerPage, '/api/v1/controllers', {});
      if (screen.json) screen.document(page);
      else screen.print(...table(page.items, COLUMNS, screen));
      return page.items.some(({ running, differences }) => running && differences.length > 0) ? EXIT.failed : EXIT.fine;
    }));
}

const COLUMNS: Column<ControllerAnswer>[] = [
  { title: 'CONTROLLER', cell: ({ name }) => name },
  { title: 'STATE', cell: ({ running }) => (running ? 'running' : 'gone') },
  { title: 'VERSION', cell: ({ version }) => version },
  { title: 'PROCESS', cell: ({ process }) => process },
  { title: 'SINCE', cell: ({ startedAt }) => formatTime(startedAt) },
  { title: 'SEEN', cell: ({ seenAt }) => formatTime(seenAt) },
  { title: 'SETTINGS', cell: describeSettings },
];

function describeSettings({ running, differences }: ControllerAnswer): string {
  if (!running) return '';
  return differences.length === 0 ? 'the same' : differences.map(({ setting, value, newest }) => `${setting} ${value}, not ${newest}`).join('; ');
}
