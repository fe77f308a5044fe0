import { setTimeout as sleep } from 'node:timers/promises';
import { HttpClient } from '../client/http.ts';
import type { MeasureName } from '../config.ts';
import type { Goal, Row } from '../measure.ts';
import { PushChain } from '../repositories/push-chain.ts';
import { expectRefs, sendPrepared } from '../rounds.ts';
import { ReliabilityCluster } from './cluster.ts';
import { longestGap } from './gaps.ts';
import { PushLoad } from './load.ts';
import type { ReliabilityBench, ReliabilityMeasure } from './measure.ts';

/** How long the load runs before the fault, to have something to compare with. */
const STEADY_MS = 3_000;
/** Of that, how long clients get to open connections and nodes to warm up. */
const WARM_UP_MS = 1_000;
/** How long a node stays stopped: longer than any pause that is allowed to the pushes. */
const STOPPED_MS = 5_000;
/** How long the load goes on when every replica is current again. */
const AFTER_MS = 1_000;
/** How long that is waited for under load; it comes at the latest when the load ends. */
const CURRENT_MS = 20_000;
/** How long every replica has to be current, each time it is asked, to count as current to stay. */
const STEADY_CURRENT_MS = 1_000;
const POLL_MS = 25;

interface Shape {
  what: string;
  repositories: number;
  /** For each repository. */
  clients: number;
}

const SHAPES: readonly Shape[] = [
  { what: '8 clients, one repository', repositories: 1, clients: 8 },
  { what: '2 clients on each of 4 repositories', repositories: 4, clients: 2 },
];

interface Observed {
  failed: number;
  reasons: string[];
  /** Longest gaps of the repository with the longest, before the fault, while the node is away, and from its return on. */
  steadyMs: number;
  awayMs: number;
  returnMs: number;
  slowestMs: number;
  /** Pushes a second before the fault. */
  perSecond: number;
  /** From the node's return until every replica was current, to stay so; undefined when that didn't come. */
  currentAfterMs: number | undefined;
}

interface Fault {
  measure: MeasureName;
  what: string;
  restart: boolean;
  must: Goal;
  dream: Goal;
  /** Breaks the node and brings it back. @returns when it was back, on the clock of `performance.now()` */
  strike(cluster: ReliabilityCluster, node: string): Promise<number>;
}

/** What clients notice when a node dies under load, and when `npm start` starts it again. */
export const killNode: ReliabilityMeasure = (bench) => loseNode(bench, {
  measure: 'kill-node',
  what: 'kill -9 of one of three nodes',
  restart: true,
  must: { value: 1_000 },
  dream: { value: 100 },
  async strike(cluster, node) {
    const before = await cluster.kill(node);
    await cluster.until(async () => await cluster.pid(node).catch(() => before) !== before, () => `${node} wasn't started again`);
    return performance.now();
  },
});

/** What clients notice when a node stops answering without its connections breaking, and when it goes on. */
export const stopNode: ReliabilityMeasure = (bench) => loseNode(bench, {
  measure: 'stop-node',
  what: 'SIGSTOP of one of three nodes',
  restart: false,
  must: { value: 3_000 },
  dream: { value: 500 },
  async strike(cluster, node) {
    await cluster.signal(node, 'SIGSTOP');
    await sleep(STOPPED_MS);
    await cluster.signal(node, 'SIGCONT');
    return performance.now();
  },
});

async function loseNode(bench: ReliabilityBench, fault: Fault): Promise<Row[]> {
  const rounds = bench.quick ? 1 : 3;
  const cluster = await ReliabilityCluster.start(bench, { name: fault.measure, restart: fault.restart });
  const rows: Row[] = [];
  try {
    for (const shape of SHAPES) {
      const observed: Observed[] = [];
      for (let round = 1; round <= rounds; round++) {
        bench.progress(`${fault.measure}: ${shape.what}, round ${round} of ${rounds}`);
        observed.push(await observe(cluster, fault, shape, round));
      }
      rows.push(...rowsOf(fault, shape, observed));
    }
  } finally {
    await cluster.end();
  }
  return rows;
}

/** One node lost and back under load. Another one each round. */
async function observe(cluster: ReliabilityCluster, fault: Fault, shape: Shape, round: number): Promise<Observed> {
  const node = cluster.nodes[round % cluster.nodes.length]!;
  const names = Array.from({ length: shape.repositories }, (_, i) => `${fault.measure}-${shape.repositories}-${round}-${i + 1}`);
  const client = new HttpClient();
  const loads: PushLoad[] = [];
  try {
    const urls: string[] = [];
    for (const name of names) {
      const url = await cluster.create(name);
      await sendPrepared({ client, url }, PushChain.base());
      urls.push(url);
    }
    loads.push(...urls.map((url) => new PushLoad(url, shape.clients)));
    const begunAt = performance.now();
    for (const load of loads) load.start();
    await sleep(STEADY_MS);
    const faultAt = performance.now();
    const backAt = await fault.strike(cluster, node);
    const currentAt = await untilSteadilyCurrent(cluster, names);
    await sleep(AFTER_MS);
    const endAt = performance.now();
    const records = await Promise.all(loads.map((load) => load.stop()));

    for (const [i, { refs }] of records.entries()) {
      await cluster.untilEqual(names[i]!);
      await expectRefs({ client, url: urls[i]! }, refs);
    }
    const gap = (from: number, to: number) => (
      Math.max(...records.map(({ successes }) => longestGap(successes.map(({ atMs }) => atMs), from, to))));
    const successes = records.flatMap((record) => record.successes);
    const failures = records.flatMap((record) => record.failures);
    return {
      failed: failures.length,
      reasons: failures.map(({ reason }) => reason),
      steadyMs: gap(begunAt + WARM_UP_MS, faultAt),
      awayMs: gap(faultAt, backAt),
      returnMs: gap(backAt, endAt),
      slowestMs: Math.max(...successes.filter(({ atMs }) => atMs > faultAt).map(({ tookMs }) => tookMs)),
      perSecond: successes.filter(({ atMs }) => atMs < faultAt).length / (STEADY_MS / 1000),
      currentAfterMs: currentAt === undefined ? undefined : currentAt - backAt,
    };
  } finally {
    await Promise.allSettled(loads.map((load) => load.stop()));
    client.close();
  }
}

/**
 * Under load replicas never rest at one generation, so that their state has to do; and one that misses pushes as soon as
 * it is back isn't back.
 * @returns when every replica was current, to stay so; undefined when that didn't come in time
 */
async function untilSteadilyCurrent(cluster: ReliabilityCluster, names: readonly string[]): Promise<number | undefined> {
  const deadline = performance.now() + CURRENT_MS;
  let since: number | undefined;
  while (performance.now() < deadline) {
    const views = await Promise.all(names.map((name) => cluster.show(name)));
    const now = performance.now();
    if (!views.every(({ replicas }) => replicas.every(({ state }) => state === 'current'))) since = undefined;
    else since ??= now;
    if (since !== undefined && now - since >= STEADY_CURRENT_MS) return since;
    await sleep(POLL_MS);
  }
  return undefined;
}

function rowsOf({ measure, what, must, dream }: Fault, shape: Shape, observed: readonly Observed[]): Row[] {
  const common = { measure, better: 'lower', unit: 'ms' } as const;
  const rounds = (value: (each: Observed) => number) => ({ subject: observed.map(value) });
  const never = observed.filter((each) => each.currentAfterMs === undefined).length;
  const reasons = [...new Set(observed.flatMap((each) => each.reasons))].slice(0, 5);
  return [
    {
      ...common,
      what: `${what}, ${shape.what}: failed pushes`,
      unit: 'pushes',
      summary: 'total',
      rounds: rounds((each) => each.failed),
      must: { value: 0 },
      notes: reasons.map((reason) => `${what}, ${shape.what}, a failed push: ${reason}`),
    },
    {
      ...common,
      what: '  longest gap between two successful pushes',
      summary: 'maximum',
      rounds: rounds((each) => Math.max(each.awayMs, each.returnMs)),
      must,
      dream,
    },
    { ...common, what: '  while the node is away', summary: 'maximum', rounds: rounds((each) => each.awayMs) },
    { ...common, what: '  from its return on', summary: 'maximum', rounds: rounds((each) => each.returnMs) },
    { ...common, what: '  before the fault', summary: 'maximum', rounds: rounds((each) => each.steadyMs) },
    { ...common, what: '  the slowest push', summary: 'maximum', rounds: rounds((each) => each.slowestMs) },
    {
      ...common,
      what: '  its replicas current again, to stay so, after its return',
      summary: 'median',
      rounds: rounds((each) => each.currentAfterMs ?? CURRENT_MS),
      notes: never === 0 ? [] : [`${what}, ${shape.what}: in ${never} of ${observed.length} rounds replicas weren't current, to stay so, `
        + `within ${CURRENT_MS / 1000} s of the load`],
    },
    { ...common, what: '  pushes a second before the fault', unit: 'pushes/s', better: 'higher', summary: 'median', rounds: rounds((each) => each.perSecond) },
  ];
}
