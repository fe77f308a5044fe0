import type { Command } from 'commander';
import { NodeAnswer } from '../rest/node.ts';
import { parseNode } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { drainText, freeText, replicaText, troubleText } from './node-text.ts';
import { act } from './session.ts';
import { formatAge, formatCount, formatTime } from './terminal/format.ts';
import { record, type Cell } from './terminal/table.ts';

export function addNodesShow(parent: Command): void {
  parent.command('show')
    .description('Shows everything about one node: replicas by state, what arrives, what is still to go. Exit status 1: it is cordoned.')
    .argument('<node>', 'name of the node', parseNode)
    .addHelpText('after', examples(['trivet nodes show node2', 'is it well, and how far is its drain?']))
    .action(act(async ({ api, screen }, _options, id) => {
      const node = await api.get(NodeAnswer, `/api/v1/nodes/${id}`);
      if (screen.json) screen.document(node);
      else screen.print(...describe(node, Date.now(), screen));
      return node.state === 'cordoned' ? EXIT.failed : EXIT.fine;
    }));
}

function describe(node: NodeAnswer, nowMs: number, screen: Parameters<typeof record>[1]): string[] {
  const when = (time: string | null) => (time === null ? null : `${formatTime(time)} (${formatAge(time, nowMs)} ago)`);
  const trouble = troubleText(node);
  const byState = Object.entries(node.replicas).filter(([, count]) => count > 0).map(([state, count]) => `${formatCount(count)} ${state}`);
  const entries: [string, Cell | null][] = [
    ['node', node.id],
    ['url', node.url],
    ['state', node.state],
    ['wished for', node.wish],
    ['since', when(node.stateChangedAt)],
    ['drain', node.wish === 'draining' ? drainText(node) : null],
    ['trouble', trouble === '' ? null : { text: trouble, tone: 'bad' }],
    ['zone', node.zone === '' ? null : node.zone],
    ['replicas', byState.length > 1 ? byState.join(', ') : replicaText(node)],
    ['arriving', node.arriving === 0 ? null : formatCount(node.arriving)],
    ['to delete', node.removals === 0 ? null : formatCount(node.removals)],
    ['disk', freeText(node) === '' ? null : `${freeText(node)} free`],
    ['load', node.loadAverage?.toFixed(2) ?? null],
    ['clock', node.clockSkewMs === null ? null : `${node.clockSkewMs} ms ahead`],
    ['version', node.version === '' ? null : node.version],
    ['git', node.gitVersion === '' ? null : node.gitVersion],
    ['joined', when(node.joinedAt)],
    ['heard', when(node.heardAt)],
  ];
  return record(entries.filter((entry): entry is [string, Cell] => entry[1] !== null), screen);
}
