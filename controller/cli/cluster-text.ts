import type { ClusterStatus, Problem } from '../rest/cluster.ts';
import { liveColumns } from './job-text.ts';
import { freeText, replicaText, stateCell } from './node-text.ts';
import { formatAge, formatCount, formatNumber } from './terminal/format.ts';
import { noPaint, type Paint, type Tone } from './terminal/paint.ts';
import { printable } from './terminal/printable.ts';
import { record, table, type Column } from './terminal/table.ts';

// How the whole cluster is told to people.

const VERDICT_TONES: Record<ClusterStatus['verdict'], Tone> = { ok: 'good', degraded: 'warn', critical: 'bad' };
const SEVERITY_TONES: Record<Problem['severity'], Tone> = { degraded: 'warn', critical: 'bad' };

/** The cluster as one screen: the verdict, what is wrong, and where. */
export function clusterLines(status: ClusterStatus, nowMs: number, { paint = noPaint, width }: { paint?: Paint; width?: number | undefined } = {}): string[] {
  const { atRisk, repairs } = status;
  return [
    `${paint('strong', 'The cluster is ')}${paint(VERDICT_TONES[status.verdict], status.verdict)}${paint('strong', status.verdict === 'ok' ? '.' : ':')}`,
    ...status.problems.map(({ severity, text }) => `  ${paint(SEVERITY_TONES[severity], printable(text))}`),
    '',
    ...record(figures(status, nowMs), { paint, width }),
    '',
    ...table(status.nodes, nodeColumns(nowMs), { paint, width }),
    ...(atRisk.first.length === 0 ? [] : ['', ...table(atRisk.first, riskColumns(nowMs), { paint, width }), ...more(atRisk.total - atRisk.first.length, 'trivet at-risk')]),
    ...(repairs.first.length === 0 ? [] : ['', ...table(repairs.first, liveColumns(nowMs), { paint, width }), ...more(repairs.waiting + repairs.running - repairs.first.length, 'trivet repair list')]),
  ];
}

function figures(status: ClusterStatus, nowMs: number): [string, string][] {
  const { atRisk: { byKind, total }, repairs, replicas, rates, verification, controllers, transactionsInDoubt, findings } = status;
  const others = Object.entries(replicas).filter(([state, count]) => state !== 'current' && count > 0).map(([state, count]) => `${formatCount(count)} ${state}`);
  const found = Object.values(findings).reduce((sum, count) => sum + count, 0);
  const age = (time: string | null) => (time === null ? 'never' : `${formatAge(time, nowMs)} ago`);
  return [
    ['repositories', `${formatCount(status.repositories)}, with ${[`${formatCount(replicas.current)} replicas current`, ...others].join(', ')}`],
    ['at risk', total === 0 ? 'none' : `${formatCount(byKind.unavailable)} unavailable, ${formatCount(byKind.no_quorum)} without a quorum, ${formatCount(byKind.under_replicated)} under-replicated`],
    ['repairs', `${formatCount(repairs.running)} running, ${formatCount(repairs.waiting)} waiting`],
    ['traffic', `${rates.pushesPerSecond.toFixed(1)} pushes and ${rates.readsPerSecond.toFixed(1)} reads a second`],
    ['in doubt', formatNumber(transactionsInDoubt, 'transaction')],
    ['verified', `refs ${age(verification.oldestVerifiedAt)}, objects ${age(verification.oldestCheckedAt)} (the oldest); ${formatNumber(found, 'open finding')}`],
    ['controllers', controllers.map(({ name, running, differs }) => `${name}${running ? differs ? ' (other settings)' : '' : ' (gone)'}`).join(', ')],
  ];
}

function nodeColumns(nowMs: number): Column<ClusterStatus['nodes'][number]>[] {
  return [
    { title: 'NODE', cell: ({ id }) => id },
    { title: 'STATE', cell: stateCell },
    { title: 'ZONE', cell: ({ zone }) => zone },
    { title: 'REPLICAS', cell: replicaText },
    { title: 'FREE', cell: freeText, right: true },
    { title: 'LOAD', cell: ({ loadAverage }) => loadAverage?.toFixed(1) ?? '', right: true },
    { title: 'HEARD', cell: ({ heardAt }) => (heardAt === null ? 'never' : `${formatAge(heardAt, nowMs)} ago`), right: true },
  ];
}

function riskColumns(nowMs: number): Column<ClusterStatus['atRisk']['first'][number]>[] {
  return [
    { title: 'AT RISK', cell: ({ repository }) => repository },
    { title: 'RISK', cell: ({ kind }) => ({ text: kind, tone: kind === 'under_replicated' ? 'warn' : 'bad' }) },
    { title: 'CURRENT', cell: ({ current, configured }) => `${current} of ${configured}`, right: true },
    { title: 'SINCE', cell: ({ since }) => formatAge(since, nowMs), right: true },
    { title: 'REPAIR', cell: ({ repairing }) => (repairing ? 'open' : 'none') },
  ];
}

function more(count: number, command: string): string[] {
  return count > 0 ? [`… and ${formatCount(count)} more: ${command}`] : [];
}
