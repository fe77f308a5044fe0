import { HttpClient } from '../client/http.ts';
import type { Row } from '../measure.ts';
import { PushChain } from '../repositories/push-chain.ts';
import { Random } from '../repositories/random.ts';
import { sendPrepared } from '../rounds.ts';
import { ReliabilityCluster } from './cluster.ts';
import { drawFlip, flip, type Flip } from './flip.ts';
import type { ReliabilityMeasure } from './measure.ts';

const NAME = 'bit-flip';
/** Each leaves a pack of its own. */
const PUSHES = 20;
const VERIFY_DEADLINE_MS = 120_000;

interface Verification {
  replicas: { node: string; state: string; result: string; detail: string | null }[];
}

interface Tries {
  tries: number;
  noticed: number;
  /** Of the full pass over all replicas. */
  passMs: number[];
  /** From the answer until every replica was current and equal again. */
  healMs: number[];
  missed: Flip[];
}

/**
 * How many of so many flipped bits a full verification notices: each try turns one bit of one pack of one replica over,
 * asks for the verification, and waits until the replica is current again before the next. A bit that nobody noticed is
 * turned back. What it draws comes from a seed.
 */
export const bitFlip: ReliabilityMeasure = async (bench) => {
  const [packTries, indexTries] = bench.quick ? [40, 10] : [200, 50];
  const cluster = await ReliabilityCluster.start(bench, { name: 'bit-flip', restart: false });
  try {
    await fill(await cluster.create(NAME));
    // Without a fault nothing may be found, or finding something would mean nothing.
    const { replicas } = await verify(cluster);
    if (replicas.length !== 3 || replicas.some(({ result }) => result !== 'equal')) {
      throw new Error(`a sound repository is found to be ${JSON.stringify(replicas)}`);
    }
    const packs = await tryFlips(cluster, '.pack', packTries, bench.progress);
    const indexes = await tryFlips(cluster, '.idx', indexTries, bench.progress);
    return rowsOf(packs, indexes);
  } finally {
    await cluster.end();
  }
};

/** A repository with packs of 1 KB to 30 KB. */
async function fill(url: string): Promise<void> {
  const client = new HttpClient();
  try {
    await sendPrepared({ client, url }, PushChain.base());
    const chain = new PushChain('client');
    for (let push = 0; push < PUSHES; push++) await sendPrepared({ client, url }, chain.next());
  } finally {
    client.close();
  }
}

async function tryFlips(cluster: ReliabilityCluster, extension: '.pack' | '.idx', tries: number, progress: (text: string) => void): Promise<Tries> {
  const random = new Random(`flips ${extension}`);
  const result: Tries = { tries, noticed: 0, passMs: [], healMs: [], missed: [] };
  for (let number = 1; number <= tries; number++) {
    if (number % 20 === 1) progress(`bit-flip: ${extension}, try ${number} of ${tries}`);
    const node = cluster.nodes[number % cluster.nodes.length]!;
    const view = await cluster.untilEqual(NAME);
    const drawn = await drawFlip(random, cluster.replicaDirectory(view, node), extension);
    await flip(drawn);
    const begun = performance.now();
    const { replicas } = await verify(cluster);
    const answered = performance.now();
    result.passMs.push(answered - begun);
    const found = replicas.filter(({ result: each }) => each !== 'equal').map((each) => `${each.node} ${each.result}`);
    if (found.some((each) => each !== `${node} corrupt`)) throw new Error(`a bit of ${node} was flipped, and found was ${found.join(', ')}`);
    if (found.length === 0) {
      result.missed.push(drawn);
      await flip(drawn);
      continue;
    }
    result.noticed += 1;
    await cluster.untilEqual(NAME);
    result.healMs.push(performance.now() - answered);
  }
  return result;
}

async function verify(cluster: ReliabilityCluster): Promise<Verification> {
  const response = await fetch(`${cluster.url}/api/v1/verifications`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ repository: NAME, full: true }),
    signal: AbortSignal.timeout(VERIFY_DEADLINE_MS),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`the verification was refused: ${response.status} ${text.slice(0, 300)}`);
  return JSON.parse(text) as Verification;
}

function rowsOf(packs: Tries, indexes: Tries): Row[] {
  const flips = { measure: 'bit-flip', unit: 'flips', better: 'higher', summary: 'total' } as const;
  const times = { measure: 'bit-flip', unit: 'ms', better: 'lower', summary: 'median' } as const;
  const notes = [...packs.missed, ...indexes.missed].map(({ path, offset, bit }) => `not noticed: bit ${bit} of byte ${offset} of ${path}`);
  return [
    {
      ...flips,
      what: `one flipped bit in a pack, noticed by a full pass, of ${packs.tries} tries`,
      rounds: { subject: [packs.noticed] },
      must: { value: packs.tries },
      notes,
    },
    { ...flips, what: `  one in an index, of ${indexes.tries} tries`, rounds: { subject: [indexes.noticed] } },
    { ...times, what: '  the full pass over three replicas', rounds: { subject: packs.passMs } },
    // Nothing was repaired where nothing was noticed.
    ...(packs.healMs.length === 0 ? [] : [{ ...times, what: '  from its answer until the replica is current again', rounds: { subject: packs.healMs } }]),
  ];
}
