import type { Deadlines } from '../../controller/config.ts';
import type { FaultKind } from './faults.ts';
import { Random } from './random.ts';

/** Everything that shapes a run beside its seed. Times are virtual milliseconds. */
export interface SimulationOptions {
  nodes: number;
  controllers: number;
  repositories: number;
  refs: number;
  clients: number;
  /** For each client, one after another. */
  operations: number;
  /**
   * Whether faults end at `activeMs`: everything broken is mended, and the cluster must come to rest with all replicas
   * equal. Without it, anything may be broken at any time, and only safety is asked for.
   */
  liveness: boolean;
  /** Whether the nodes have yet to start when the run begins. */
  coldStart: boolean;
  /** For how long clients begin operations, and faults are planned. */
  activeMs: number;
  /** How long the cluster has to come to rest. */
  settleMs: number;
  /** How many faults of each kind are planned; see plan.ts. */
  partitions: number;
  crashes: number;
  oldDisks: number;
  fullDisks: number;
  sqlOutages: number;
  clockJumps: number;
  /** By how much the database's clock is set at most. Leases and pauses are measured by it alone, and wait as long when it is set back. */
  sqlClockMs: number;
  /** For each occasion on which it might strike; see faults.ts. */
  probabilities: Readonly<Record<FaultKind, number>>;
  deadlines: Deadlines;
  catchUpMs: number;
  promiseDeadlineMs: number;
  voteExpiryMs: number;
  journalBytes: number;
  tickMs: number;
  heartbeatMs: number;
  reconcileMs: number;
  sweepMs: number;
  /** How often each replica's refs are compared with SQL; 0: never. */
  verifyIntervalMs: number;
  leaseMs: number;
  repairMs: number;
  askMs: number;
  sqlMs: number;
  /** The longest that a slow SQL statement takes. */
  sqlSlowMs: number;
  clientMs: number;
}

export const NO_FAULTS: Readonly<Record<FaultKind, number>> = {
  lost: 0, doubled: 0, late: 0, reset: 0, crash: 0, 'disk-slow': 0, 'promise-gone': 0, 'sql-gone': 0, 'sql-slow': 0, 'sql-answer-lost': 0, 'commit-lost': 0,
  'commit-applied': 0, 'commit-late': 0, 'turn-lost': 0, 'client-leaves': 0,
};

/** How often each fault strikes where a run has it at all: often enough to matter, seldom enough to get on. */
const STRENGTH: Readonly<Record<FaultKind, number>> = {
  lost: 0.04, doubled: 0.03, late: 0.1, reset: 0.5, crash: 0.012, 'disk-slow': 0.08, 'promise-gone': 0.03, 'sql-gone': 0.02, 'sql-slow': 0.1, 'sql-answer-lost': 0.02,
  'commit-lost': 0.05, 'commit-applied': 0.08, 'commit-late': 0.06, 'turn-lost': 0.15, 'client-leaves': 0.05,
};

export const CALM: SimulationOptions = {
  nodes: 3, controllers: 1, repositories: 1, refs: 3, clients: 2, operations: 3, liveness: false, coldStart: true, activeMs: 400, settleMs: 20_000,
  partitions: 0, crashes: 0, oldDisks: 0, fullDisks: 0, sqlOutages: 0, clockJumps: 0, sqlClockMs: 2_000,
  probabilities: NO_FAULTS,
  deadlines: {
    voteStallMs: 50, voteGraceMs: 8, voteMs: 150, turnMs: 300, prepareGraceMs: 6, prepareMs: 80, decideMs: 500, commitGraceMs: 6, commitMs: 80,
    headersMs: 100, bodyIdleMs: 100, readMs: 80, silentMs: 3, drainMs: 40,
  },
  catchUpMs: 20, promiseDeadlineMs: 120, voteExpiryMs: 600, journalBytes: 4_000, tickMs: 150, heartbeatMs: 400, reconcileMs: 400, sweepMs: 1_000, verifyIntervalMs: 0, leaseMs: 800,
  repairMs: 600, askMs: 100, sqlMs: 120, sqlSlowMs: 150, clientMs: 1_500,
};

/** Options of a run as its seed draws them: another mixture of parts and faults each time. */
export function drawOptions(seed: number, liveness: boolean): SimulationOptions {
  const random = new Random(seed, 'options');
  const probabilities = { ...NO_FAULTS };
  // A run with a few kinds of faults goes deeper into each than one with all of them.
  for (const kind of Object.keys(STRENGTH) as FaultKind[]) {
    if (random.chance(0.35)) probabilities[kind] = STRENGTH[kind] * random.between(0.3, 1.5);
  }
  const some = (probability: number, most: number) => (random.chance(probability) ? 1 + random.below(most) : 0);
  const oldDisks = some(0.15, 1);
  // One of the faults that may undo what was promised; each of them only in some runs.
  if (random.chance(0.6)) probabilities['promise-gone'] = 0;
  return {
    ...CALM,
    liveness,
    coldStart: random.chance(0.2),
    // A disk that was set back by hand may be found by verification only.
    journalBytes: random.chance(0.5) ? 4_000 : 1_000,
    verifyIntervalMs: oldDisks > 0 || probabilities['promise-gone'] > 0 || random.chance(0.1) ? 1_000 : 0,
    nodes: random.chance(0.8) ? 3 : 5,
    controllers: 1 + random.below(3),
    repositories: random.chance(0.75) ? 1 : 2,
    refs: 1 + random.below(4),
    clients: 1 + random.below(3),
    operations: 2 + random.below(3),
    partitions: some(0.35, 3), crashes: some(0.5, 4), oldDisks, fullDisks: some(0.15, 2), sqlOutages: some(0.15, 2), clockJumps: some(0.15, 3),
    probabilities,
  };
}

/** A setting by its dotted name, such as `nodes` or `probabilities.lost`, as it is given on the command line. */
export function withSetting(options: SimulationOptions, name: string, text: string): SimulationOptions {
  const [group, key] = name.includes('.') ? name.split('.') as [string, string] : [undefined, name];
  const target = (group === undefined ? options : (options as unknown as Record<string, object>)[group]) as Record<string, unknown> | undefined;
  const present = target?.[key];
  const value: unknown = typeof present === 'boolean' ? text === 'true' : Number(text);
  if (target === undefined || (typeof present !== 'boolean' && typeof present !== 'number') || Number.isNaN(value)) {
    throw new RangeError(`no option ${name}=${text}`);
  }
  return group === undefined ? { ...options, [key]: value } : { ...options, [group]: { ...target, [key]: value } };
}
