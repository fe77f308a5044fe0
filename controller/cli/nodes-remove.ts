import type { Command } from 'commander';
import { NodeAnswer } from '../rest/node.ts';
import { parseNode } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';

interface Options { force?: true }

/** A dead node's replicas are taken away one after another. */
const DEADLINE_MS = 600_000;

export function addNodesRemove(parent: Command): void {
  parent.command('remove')
    .description('Takes a drained node out of the cluster: it is refused from then on, until it is activated again.')
    .argument('<node>', 'name of the node', parseNode)
    .option('--force', 'it is dead and never comes back; refused if it has the only newest replica of a repository')
    .addHelpText('after', examples(
      ['trivet nodes remove node2', 'after: trivet nodes drain node2 --watch'],
      ['trivet nodes remove node2 --force', 'its disk is lost; its replicas are rebuilt on other nodes'],
    ))
    .action(act<Options>(async ({ api, screen }, { force }, id) => {
      const node = await api.post(NodeAnswer, `/api/v1/nodes/${id}/remove`, { force: force === true }, DEADLINE_MS);
      if (screen.json) screen.document(node);
      else screen.print(`${id} is removed.`);
      return EXIT.fine;
    }));
}
