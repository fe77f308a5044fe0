import { HttpClient } from '../client/http.ts';
import { PushChain } from '../repositories/push-chain.ts';
import { expectRefs, sendPrepared } from '../rounds.ts';
import { ReliabilityCluster } from './cluster.ts';
import type { ReliabilityMeasure } from './measure.ts';

const CLIENTS = 8;

/**
 * How long a node that was away needs until its replica is current again: from the start of its process until REST
 * shows it current, at the generation and the digest that SQL has. Nobody pushes meanwhile.
 */
export const catchUp: ReliabilityMeasure = async (bench) => {
  const [rounds, missed] = bench.quick ? [1, 200] : [3, 1_000];
  const cluster = await ReliabilityCluster.start(bench, { name: 'catch-up', restart: false });
  const seconds: number[] = [];
  const readySeconds: number[] = [];
  try {
    for (let round = 1; round <= rounds; round++) {
      bench.progress(`catch-up: round ${round} of ${rounds}`);
      const node = cluster.nodes[round % cluster.nodes.length]!;
      const name = `catch-up-${round}`;
      const url = await cluster.create(name);
      const client = new HttpClient();
      try {
        const base = PushChain.base();
        await sendPrepared({ client, url }, base);
        await cluster.untilEqual(name);
        await cluster.kill(node);
        const refs = [...base.updates, ...await pushAll(client, url, missed)];
        const begun = performance.now();
        cluster.start(node);
        await cluster.untilReady(node);
        readySeconds.push((performance.now() - begun) / 1000);
        const view = await cluster.untilCurrent(name, node);
        seconds.push((performance.now() - begun) / 1000);
        if (view.generation !== missed + 1) throw new Error(`${name} is at generation ${view.generation}, not ${missed + 1}`);
        await expectRefs({ client, url }, refs);
        await cluster.checkDisk(bench.git, view, node, refs);
      } finally {
        client.close();
      }
    }
  } finally {
    await cluster.end();
  }
  const common = { measure: 'catch-up', unit: 's', better: 'lower', summary: 'median' } as const;
  return [
    {
      ...common,
      what: `node back after missing ${missed.toLocaleString('en')} small pushes → current again`,
      rounds: { subject: seconds },
      must: { value: 10 },
      dream: { value: 2 },
    },
    { ...common, what: '  of that, until the node serves', rounds: { subject: readySeconds } },
  ];
};

/** Makes so many small pushes, a few clients at a time. @returns where the branches are afterwards */
async function pushAll(client: HttpClient, url: string, pushes: number) {
  const last = await Promise.all(Array.from({ length: CLIENTS }, async (_, i) => {
    const chain = new PushChain(`client-${i}`);
    let step = chain.next();
    for (let left = pushes / CLIENTS; left > 0; left--) {
      await sendPrepared({ client, url }, step);
      if (left > 1) step = chain.next();
    }
    return step.updates;
  }));
  return last.flat();
}
