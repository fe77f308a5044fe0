import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { clone } from './client/clone.ts';
import { HttpClient } from './client/http.ts';
import type { Row } from './measure.ts';
import type { ReliabilityBench } from './reliability/measure.ts';
import { PushChain } from './repositories/push-chain.ts';
import type { PreparedPush } from './repositories/push-chains.ts';
import { sendPrepared } from './rounds.ts';
import { median } from './statistics.ts';
import { startTrivet, type TrivetTarget } from './targets/trivet.ts';

const NODES = 3;
const CLIENTS = 16;
/** A push that a busy machine has refused is sent again; pushes that are measured are not. */
const TRIES = 50;
const RETRY_MS = 200;

/** One cluster with its repository. */
interface Grower {
  name: string;
  target: TrivetTarget;
  url: string;
  chains: PushChain[];
  clones: number;
}

/** What was measured at one point of the curve: milliseconds. */
interface Point {
  pushes: number;
  push: number[];
  clone: number[];
}

/**
 * Whether a repository stays as fast as it was: how long a small push and a clone take after so many small pushes, with
 * the nodes' maintenance and without it. Both clusters run side by side and are measured in turn, so that whatever drifts
 * on the machine meets both. A clone is a request that was never made before.
 */
export async function growth(bench: ReliabilityBench): Promise<Row[]> {
  const stages = bench.quick ? [0, 200, 500, 1_000] : [0, 1_000, 2_500, 5_000, 10_000];
  const [pushes, clones] = bench.quick ? [15, 3] : [40, 7];
  const growers = [await start(bench, 'maintained', 'on'), await start(bench, 'left alone', 'off')];
  const curves = new Map<Grower, Point[]>(growers.map((grower) => [grower, []]));
  try {
    for (const grower of growers) await withClient((client) => sendPrepared({ client, url: grower.url }, PushChain.base()));
    let grown = 0;
    for (const stage of stages) {
      for (const grower of growers) {
        bench.progress(`growth: ${stage.toLocaleString('en')} pushes, ${grower.name}`);
        await withClient((client) => grow(client, grower, stage - grown));
      }
      grown = Math.max(grown, stage);
      const points = growers.map((grower): [Grower, Point] => [grower, { pushes: stage, push: [], clone: [] }]);
      await withClient(async (client) => {
        for (let i = 0; i < pushes; i++) {
          for (const [grower, point] of points) point.push.push(await sendPrepared({ client, url: grower.url }, grower.chains[0]!.next()));
        }
        for (let i = 0; i < clones; i++) {
          for (const [grower, point] of points) point.clone.push((await clone(client, grower.url, `git/growth-${grower.clones++}`)).milliseconds);
        }
      });
      grown += pushes;
      for (const [grower, point] of points) {
        curves.get(grower)!.push(point);
        bench.progress(`growth: ${grower.name}, ${textOf(point)}`);
      }
    }
  } finally {
    for (const grower of growers) await grower.target.stop();
  }
  return growers.flatMap((grower) => rowsOf(grower, curves.get(grower)!, grower === growers[0]));
}

/** Connections that lay idle while the other cluster grew may be closed by the server just as they are used again. */
async function withClient<T>(work: (client: HttpClient) => Promise<T>): Promise<T> {
  const client = new HttpClient();
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

async function start(bench: ReliabilityBench, name: string, maintenance: 'on' | 'off'): Promise<Grower> {
  const directory = join(bench.scratch, `growth-${maintenance}`);
  await mkdir(directory);
  const starting = startTrivet({ directory, nodes: NODES, store: bench.store }, { ...bench.environment, TRIVET_MAINTENANCE: maintenance });
  bench.cleanup.add(() => starting.then((target) => target.stop(), () => {}));
  const target = await starting;
  const chains = Array.from({ length: CLIENTS }, (_, i) => new PushChain(`client-${i}`));
  return { name, target, url: await target.createRepository('growth'), chains, clones: 0 };
}

async function grow(client: HttpClient, { url, chains }: Grower, pushes: number): Promise<void> {
  let left = pushes;
  await Promise.all(chains.map(async (chain) => {
    while (left-- > 0) await sendUntilTaken(client, url, chain.next());
  }));
}

async function sendUntilTaken(client: HttpClient, url: string, prepared: PreparedPush): Promise<void> {
  for (let tried = 1; ; tried++) {
    try {
      await sendPrepared({ client, url }, prepared);
      return;
    } catch (error) {
      if (tried === TRIES || !/not enough current replicas|too many requests|was aborted|503/.test(String(error))) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** The last point beside the first, and the whole curve below the table. */
function rowsOf({ name }: Grower, curve: readonly Point[], judged: boolean): Row[] {
  const [first, last] = [curve[0]!, curve.at(-1)!];
  const common = { measure: 'growth', unit: 'ms', better: 'lower', summary: 'median' } as const;
  const after = `after ${last.pushes.toLocaleString('en')} pushes ÷ at the start, ${name}`;
  return [
    {
      ...common,
      what: `small push ${after}`,
      rounds: { plain: first.push, subject: last.push },
      ...(judged && { must: { ratio: 1.5 }, dream: { ratio: 1.1 } }),
    },
    {
      ...common,
      what: `clone ${after}`,
      rounds: { plain: first.clone, subject: last.clone },
      notes: [
        `${name}: ${curve.map(textOf).join('; ')}`,
      ],
    },
  ];
}

function textOf({ pushes, push, clone: clones }: Point): string {
  return `${pushes.toLocaleString('en')} pushes: push p50 ${median(push).toFixed(1)} ms, clone ${median(clones).toFixed(0)} ms`;
}
