import type { Command } from 'commander';
import { NodeAnswer } from '../rest/node.ts';
import { parseNode } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';

export function addNodesQuiesce(parent: Command): void {
  parent.command('quiesce')
    .description('Lets clients read from other nodes, for a reboot: pushes go on, and the replicas stay.')
    .argument('<node>', 'name of the node', parseNode)
    .addHelpText('after', examples(['trivet nodes quiesce node2', 'then restart it, then: trivet nodes activate node2']))
    .action(act(async ({ api, screen }, _options, id) => {
      const node = await api.post(NodeAnswer, `/api/v1/nodes/${id}/quiesce`);
      if (screen.json) screen.document(node);
      else screen.print(`${id} is quiesced: reads go elsewhere where they can. When it is back: trivet nodes activate ${id}`);
      return EXIT.fine;
    }));
}
