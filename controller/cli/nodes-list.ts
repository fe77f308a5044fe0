import type { Command } from 'commander';
import { NodeList } from '../rest/node.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { nodeColumns } from './node-text.ts';
import { act } from './session.ts';
import { table } from './terminal/table.ts';

export function addNodesList(parent: Command): void {
  parent.command('list')
    .description('Lists the nodes: state, zone, replicas, disk, load. Exit status 1: one is cordoned, or its clock is wrong.')
    .addHelpText('after', examples(
      ['trivet nodes list', 'which nodes are there, and are they well?'],
      ["trivet nodes list --json | jq -r '.items[] | [.id, .state] | @tsv'", 'the same for a program'],
    ))
    .action(act(async ({ api, screen }) => {
      const list = await api.get(NodeList, '/api/v1/nodes');
      if (screen.json) screen.document(list);
      else if (list.items.length === 0) screen.print('No node has joined yet.');
      else screen.print(...table(list.items, nodeColumns(Date.now()), screen));
      return list.items.some(({ state, clockWrong }) => state === 'cordoned' || clockWrong) ? EXIT.failed : EXIT.fine;
    }));
}
