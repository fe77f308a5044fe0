import { Option, type Command } from 'commander';
import { AtRiskAnswer, RISKS, type AtRiskItem } from '../rest/at-risk.ts';
import { parseListed, wholeNumber } from './arguments.ts';
import { examples } from './examples.ts';
import { EXIT } from './exit.ts';
import { doing, isFailing } from './job-text.ts';
import { act } from './session.ts';
import { formatAge, formatCount, formatNumber } from './terminal/format.ts';
import type { Tone } from './terminal/paint.ts';
import { table, type Column } from './terminal/table.ts';

interface Options { kind?: AtRiskItem['kind']; after?: string; limit: number }

export function addAtRisk(parent: Command): void {
  parent.command('at-risk')
    .description('Lists the repositories with fewer current replicas than configured, since when, and what is being done.\n'
      + 'Exit status 1: there are some.')
    .addOption(new Option('--kind <kind>', 'only these: fewer than configured, too few to take a push, none to read from').choices([...RISKS]))
    .option('--limit <count>', 'how many at most', wholeNumber(1, 1_000), 100)
    .option('--after <repository>', 'only those behind this name: the next page', parseListed)
    .addHelpText('after', examples(
      ['trivet at-risk', 'is everything as it should be?'],
      ['trivet at-risk --kind unavailable', 'what nobody can read at the moment'],
      ['trivet at-risk --json | jq .byKind', 'how many of each kind, for a program'],
    ))
    .action(act<Options>(async ({ api, screen }, { kind, after, limit }) => {
      const answer = await api.get(AtRiskAnswer, '/api/v1/at-risk', { kind, after, limit });
      const { total, byKind, items } = answer;
      if (screen.json) screen.document(answer);
      else if (total === 0) screen.print(kind === undefined ? 'Nothing is at risk.' : `No repository is ${kind}.`);
      else {
        screen.print(...table(items, columns(Date.now()), screen));
        screen.print(`${formatNumber(byKind.unavailable + byKind.no_quorum + byKind.under_replicated, 'repository', 'repositories')} at risk: ${formatCount(byKind.unavailable)} unavailable, ${formatCount(byKind.no_quorum)} without a quorum, ${formatCount(byKind.under_replicated)} under-replicated.`);
        if (items.length === limit && limit < total) screen.note(`There may be more: --after ${items.at(-1)!.repository}`);
      }
      return total === 0 ? EXIT.fine : EXIT.failed;
    }));
}

const TONES: Record<AtRiskItem['kind'], Tone> = { unavailable: 'bad', no_quorum: 'bad', under_replicated: 'warn' };

function columns(nowMs: number): Column<AtRiskItem>[] {
  return [
    { title: 'REPOSITORY', cell: (item) => (item.trashedName === null ? item.repository : `${item.trashedName} (in the trash)`) },
    { title: 'RISK', cell: (item) => ({ text: item.kind, tone: TONES[item.kind] }) },
    { title: 'CURRENT', cell: (item) => `${item.current} of ${item.configured}`, right: true },
    { title: 'SINCE', cell: (item) => formatAge(item.since, nowMs), right: true },
    { title: 'REPLICAS AND WHAT IS DONE', cell: (item) => replicas(item, nowMs) },
  ];
}

/** Every replica that is missed, why, and its job. */
function replicas(item: AtRiskItem, nowMs: number): string {
  const missed = item.replicas.filter((replica) => replica.state !== 'current' || !replica.reachable);
  return missed.map(({ node, state, reachable, reason }) => {
    const job = item.jobs.find((candidate) => candidate.node === node);
    const why = [
      ...(state === 'current' ? [] : [`${state}${reason === null ? '' : ` (${reason})`}`]),
      ...(reachable ? [] : ['unreachable']),
      ...(job === undefined ? [] : [`job ${isFailing(job) ? 'failing' : job.state}: ${doing(job, nowMs)}`]),
    ];
    return `${node} ${why.join(', ')}`;
  }).join('; ');
}
