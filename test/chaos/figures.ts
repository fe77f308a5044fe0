import type { CampaignOptions } from './campaign.ts';
import type { History } from './history/history.ts';
import type { Nemesis } from './nemesis/nemesis.ts';
import type { Fault } from './nemesis/schedule.ts';

/** What a run amounted to. Times in milliseconds unless the name says otherwise. */
export interface Figures {
  seed: number;
  nodes: number;
  minutes: number;
  clients: number;
  repositories: number;
  disk: string;
  pushesAcknowledged: number;
  pushesRejected: number;
  /** Refused by git itself or before anything was sent, such as when a controller could not be reached. */
  pushesNotSent: number;
  pushesUnknown: number;
  /** Between the ends of two acknowledged pushes, whatever the repository. */
  longestGapMs: number;
  reads: number;
  readsFailed: number;
  clones: number;
  faults: number;
  faultsByKind: Record<string, number>;
  destructionsLeftOut: number;
  /** Parts that ended though nobody had killed them. */
  deaths: number;
  longestRepairMs: number;
  convergenceMs: number;
}

export function figuresOf(input: {
  history: History; schedule: readonly Fault[]; nemesis: Nemesis; convergenceMs: number; deaths: number; options: CampaignOptions; repositories: number; disk: string;
}): Figures {
  const { history, nemesis, options } = input;
  const { pushes, reads, faults } = history;
  const acknowledged = pushes.filter((push) => push.updates.some((update) => update.outcome === 'ok'));
  const unknown = pushes.filter((push) => push.updates.some((update) => update.outcome === 'unknown'));
  const rest = pushes.filter((push) => !acknowledged.includes(push) && !unknown.includes(push));
  const notSent = rest.filter((push) => push.updates.every((update) => update.reason?.startsWith('not sent')));
  const ends = acknowledged.map((push) => push.end).sort((a, b) => a - b);
  const byKind: Record<string, number> = {};
  for (const fault of faults) byKind[fault.kind] = (byKind[fault.kind] ?? 0) + 1;
  return {
    seed: options.seed,
    nodes: options.nodes,
    minutes: Math.round(options.durationMs / 6_000) / 10,
    clients: options.clients,
    repositories: input.repositories,
    disk: input.disk,
    pushesAcknowledged: acknowledged.length,
    pushesRejected: rest.length - notSent.length,
    pushesNotSent: notSent.length,
    pushesUnknown: unknown.length,
    longestGapMs: Math.round(ends.slice(1).reduce((longest, end, i) => Math.max(longest, end - ends[i]!), 0)),
    reads: reads.filter((read) => read.ok).length,
    readsFailed: reads.filter((read) => !read.ok).length,
    clones: reads.filter((read) => read.ok && read.how === 'clone').length,
    faults: faults.length,
    faultsByKind: byKind,
    destructionsLeftOut: nemesis.leftOut,
    deaths: input.deaths,
    longestRepairMs: Math.round(Math.max(0, ...nemesis.repairWaitsMs)),
    convergenceMs: Math.round(input.convergenceMs),
  };
}

/** The figures of the phases of a run beside one another. */
export function table(phases: readonly Figures[]): string {
  const rows: [string, ...string[]][] = (Object.keys(phases[0]!) as (keyof Figures)[])
    .filter((key) => key !== 'faultsByKind').map((key) => [words(key), ...phases.map((figures) => String(figures[key]))]);
  for (const kind of [...new Set(phases.flatMap((figures) => Object.keys(figures.faultsByKind)))].sort()) {
    rows.push([`  ${kind}`, ...phases.map((figures) => String(figures.faultsByKind[kind] ?? 0))]);
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) => row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  ')).join('\n');
}

/** `longestGapMs` as `longest gap ms`. */
function words(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}
