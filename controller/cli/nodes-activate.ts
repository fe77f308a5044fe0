import type { Command } from 'commander';
import { NodeAnswer } from '../rest/node.ts';
import { parseNode } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';

export function addNodesActivate(parent: Command): void {
  parent.command('activate')
    .description('Lets a node do everything again: after quiesce, instead of drain, or to take a removed one back.')
    .argument('<node>', 'name of the node', parseNode)
    .addHelpText('after', examples(['trivet nodes activate node2', 'the reboot is over']))
    .action(act(async ({ api, screen }, _options, id) => {
      const node = await api.post(NodeAnswer, `/api/v1/nodes/${id}/activate`);
      if (screen.json) screen.document(node);
      else screen.print(node.state === 'active' ? `${id} is active.` : `${id} shall be active, and is ${node.state} at the moment.`);
      return EXIT.fine;
    }));
}
