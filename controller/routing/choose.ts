/** What routing knows of a node that holds a current replica. */
export interface Candidate {
  node: string;
  /** Average time until a read begins to be answered, milliseconds; undefined where nothing was measured lately. */
  latencyMs: number | undefined;
  inFlight: number;
  /** 0 to 1. */
  errorRate: number;
  /** Load average of its machine for each core, from its last heartbeat. */
  load: number;
  /** Share of its disk that is free, 0 to 1. */
  diskFree: number;
  /** Whether its replica of this repository is being maintained. */
  maintained: boolean;
}

/** Why a replica was asked: exported as a metric label. */
export type Reason = 'only_current' | 'lowest_score' | 'equal_scores' | 'maintenance' | 'failover';
export const REASONS: readonly Reason[] = ['only_current', 'lowest_score', 'equal_scores', 'maintenance', 'failover'];

/** Scores closer than this share of the better one count as equal: measurements aren't finer than that. */
const EQUAL_WITHIN = 0.25;
/** Below this much free disk, a node is better left to write than to read as well. */
const DISK_LOW = 0.05;

/** Latencies below this, in milliseconds, count as equal. */
const LATENCY_FLOOR_MS = 0.5;

/**
 * The expected wait on a node, as a number without unit: the lower, the better. Latency, multiplied by the line in
 * front of us, by recent errors (each tenth of failures doubles it), by load, and by a nearly full disk.
 * @param unmeasuredMs the latency of a node that wasn't measured lately
 */
export function score(candidate: Candidate, unmeasuredMs: number = LATENCY_FLOOR_MS): number {
  return Math.max(candidate.latencyMs ?? unmeasuredMs, LATENCY_FLOOR_MS)
    * (1 + candidate.inFlight)
    * (1 + 10 * candidate.errorRate)
    * (1 + candidate.load / 4)
    * (candidate.diskFree < DISK_LOW ? 2 : 1);
}

/**
 * The order in which to ask, with the reason for the first. A node that wasn't measured lately is taken for as fast as the
 * fastest. Those that maintain their replica come last, `maintenance` being the reason where that leaves only one.
 * @param turn rises with every read, and spreads reads over nodes whose scores are equal
 */
export function rank(candidates: readonly Candidate[], turn: number): { order: string[]; reason: Reason } {
  const [maintained, free] = [candidates.filter((candidate) => candidate.maintained), candidates.filter((candidate) => !candidate.maintained)];
  if (maintained.length === 0 || free.length === 0) return rankAlike(candidates, turn);
  const { order, reason } = rankAlike(free, turn);
  return { order: [...order, ...rankAlike(maintained, turn).order], reason: reason === 'only_current' ? 'maintenance' : reason };
}

function rankAlike(candidates: readonly Candidate[], turn: number): { order: string[]; reason: Reason } {
  const fastest = Math.min(...candidates.map(({ latencyMs }) => latencyMs ?? Infinity));
  const unmeasuredMs = Number.isFinite(fastest) ? fastest : LATENCY_FLOOR_MS;
  const scored = candidates.map((candidate) => ({ node: candidate.node, score: score(candidate, unmeasuredMs) })).sort((a, b) => a.score - b.score);
  const best = scored[0];
  if (best === undefined) return { order: [], reason: 'only_current' };
  if (scored.length === 1) return { order: [best.node], reason: 'only_current' };
  const equal = scored.filter((entry) => entry.score <= best.score * (1 + EQUAL_WITHIN));
  if (equal.length === 1) return { order: scored.map((entry) => entry.node), reason: 'lowest_score' };
  const first = equal[turn % equal.length]!;
  return { order: [first.node, ...scored.filter((entry) => entry !== first).map((entry) => entry.node)], reason: 'equal_scores' };
}
