import type { Command } from 'commander';
import { MaintenanceAsked } from '../rest/maintenance.ts';
import { parseNode, parseRepository } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { table } from './terminal/table.ts';

interface Options { node?: string }

export function addMaintenanceRun(parent: Command): void {
  parent.command('run')
    .description('Has the nodes of a repository make one pack of each replica, with fresh indexes, as soon as they can:\n'
      + 'one after another, out of the way of traffic. Nobody has to: nodes do what is needed by themselves.\n'
      + 'Exit status 1: a node could not be asked.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .option('--node <node>', 'only the replica on this node', parseNode)
    .addHelpText('after', examples(
      ['trivet maintenance run org/repo', 'each replica in turn'],
      ['trivet maintenance run org/repo --node node2', 'only this one'],
    ))
    .action(act<Options>(async ({ api, screen }, { node }, repository) => {
      const answer = await api.post(MaintenanceAsked, '/api/v1/maintenance', { repository, node });
      if (screen.json) screen.document(answer);
      else {
        screen.print(...table(answer.replicas, [
          { title: 'NODE', cell: (replica) => replica.node },
          { title: 'ASKED', cell: ({ asked, code }) => (asked ? { text: 'yes', tone: 'good' } : { text: `no: ${code}`, tone: 'warn' }) },
        ], screen));
      }
      return answer.replicas.every((replica) => replica.asked) ? EXIT.fine : EXIT.failed;
    }));
}
