import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { DataLossAnswer } from '../rest/data-loss.ts';
import { parseNode, parseRepository, shortText } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { act } from './session.ts';
import { formatNumber, formatTime } from './terminal/format.ts';
import { table, type TableOptions } from './terminal/table.ts';

/** Every replica is told to take the new position; a node may be slow. */
const DEADLINE_MS = 120_000;

interface Options { source: string; reason: string; by?: string; yesLoseData?: true }

export function addAcceptDataLoss(parent: Command): void {
  parent.command('accept-data-loss')
    .description('The last resort, when the newest state of a repository is gone for good: makes a replica that is behind the truth.\n'
      + 'Acknowledged pushes that it doesn\'t have are given up. Only shows what would happen, unless --yes-lose-data is given.')
    .argument('<repository>', 'name of the repository', parseRepository)
    .requiredOption('--source <node>', 'the node whose replica becomes the truth', parseNode)
    .requiredOption('--reason <text>', 'why; kept for ever', shortText(500))
    .option('--by <who>', 'who accepts it; kept for ever (default: your user name)', shortText(100))
    .option('--yes-lose-data', 'do it')
    .addHelpText('after', examples(
      ["trivet accept-data-loss org/repo --source node2 --reason 'node1 and node3 burnt'", 'what would be lost'],
      ["trivet accept-data-loss org/repo --source node2 --reason 'node1 and node3 burnt' --by ann --yes-lose-data", 'lose it'],
    ))
    .action(act<Options>(async ({ api, screen }, { source, reason, by, yesLoseData }, repository) => {
      const acceptedBy = by ?? userName();
      const loss = await api.post(DataLossAnswer, '/api/v1/data-losses', { repository, source, reason, acceptedBy, dryRun: yesLoseData !== true }, DEADLINE_MS);
      if (screen.json) screen.document(loss);
      else screen.print(...describe(loss, screen));
      return EXIT.fine;
    }));
}

/** What would be done, or has been, in plain words. */
export function describe(loss: DataLossAnswer, options: TableOptions): string[] {
  const { repository, source, dryRun, before, after, replicas } = loss;
  const verb = dryRun ? 'would' : 'will';
  return [
    dryRun ? 'This is only a plan; nothing has been changed.' : `Done. Recorded as ${loss.id}${loss.acceptedAt === null ? '' : `, ${formatTime(loss.acceptedAt)}`}.`,
    '',
    `The replica of ${repository} on ${source} ${dryRun ? 'would become' : 'is now'} the truth.`,
    `Before: generation ${before.generation}, refs ${before.digest}.`,
    `After:  generation ${after.generation}, refs ${after.digest}.`,
    lost(loss),
    '',
    ...table(replicas, [
      { title: 'NODE', cell: (replica) => replica.node },
      { title: 'GENERATION', cell: (replica) => String(replica.generation), right: true },
      { title: 'REFS', cell: (replica) => replica.digest.slice(0, 12) },
      { title: `${verb} become`.toUpperCase(), cell: (replica) => replica.becomes },
    ], options),
    '',
    `Accepted by ${loss.acceptedBy}: ${loss.reason}`,
    ...(dryRun ? ['', 'To do it, give the same command again with --yes-lose-data.'] : []),
  ];
}

function lost({ lost: { generations }, before, dryRun }: DataLossAnswer): string {
  if (generations === 0) return `No generation ${dryRun ? 'would be' : 'was'} given up.`;
  const first = before.generation - generations + 1;
  const which = generations === 1 ? `Generation ${first}` : `Generations ${first} to ${before.generation}`;
  return `${which} ${dryRun ? 'would be' : generations === 1 ? 'was' : 'were'} given up: the refs moved by ${formatNumber(generations, 'acknowledged push', 'acknowledged pushes')}.`;
}

function userName(): string {
  try {
    return userInfo().username;
  } catch {
    // A user id without an entry in the system's list, as in some containers.
    return `user id ${process.getuid?.() ?? 'unknown'}`;
  }
}
