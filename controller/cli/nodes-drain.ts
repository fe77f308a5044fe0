import type { Command } from 'commander';
import { NodeAnswer } from '../rest/node.ts';
import { parseNode } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { Interrupted } from './faults.ts';
import { followOne, followPorts } from './follow.ts';
import { drainText } from './node-text.ts';
import { act, type Session } from './session.ts';

interface Options { watch?: true }

export function addNodesDrain(parent: Command): void {
  parent.command('drain')
    .description('Has all replicas of a node moved to others. It goes on serving until they are; then it can be removed.')
    .argument('<node>', 'name of the node', parseNode)
    .option('--watch', 'show how far it is, until it is drained')
    .addHelpText('after', examples(
      ['trivet nodes drain node2 --watch', 'until nothing is left on it'],
      ['trivet nodes activate node2', 'never mind'],
    ))
    .action(act<Options>(async (session, { watch }, id) => {
      const { api, screen } = session;
      let node = await api.post(NodeAnswer, `/api/v1/nodes/${id}/drain`);
      if (watch === true) node = await follow(session, node);
      if (screen.json) screen.document(node);
      else screen.print(node.state === 'drained' ? `${drainText(node)}. To take it out of the cluster: trivet nodes remove ${id}` : `${drainText(node)}.`);
      return watch === true && node.wish !== 'draining' ? EXIT.failed : EXIT.fine;
    }));
}

/** Until it is drained, or somebody wants something else of it. */
async function follow(session: Session, begun: NodeAnswer): Promise<NodeAnswer> {
  const { api, screen } = session;
  let told = '';
  try {
    return await followOne(followPorts(session), begun, {
      isOver: ({ state, wish }) => state === 'drained' || wish !== 'draining',
      look: () => api.get(NodeAnswer, `/api/v1/nodes/${begun.id}`),
      tell: (node) => {
        const text = drainText(node);
        if (screen.liveProgress !== undefined) screen.liveProgress.draw([text]);
        else if (text !== told) screen.note(text);
        told = text;
      },
    });
  } catch (error) {
    if (error instanceof Interrupted) screen.note('Stopped looking; the drain goes on.');
    throw error;
  } finally {
    screen.liveProgress?.clear();
  }
}
