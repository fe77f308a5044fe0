import { join } from 'node:path';
import type { Measure } from './measure.ts';
import { buildPushChains } from './repositories/push-chains.ts';
import { alternate, expectRefs, pick, sendPrepared } from './rounds.ts';
import { quantile } from './statistics.ts';

const CLIENTS = 8;
const WARM_UP = 2;

/** How many small pushes a second one repository takes from eight clients, each with a branch of its own. */
export const manyClients: Measure = async (bench) => {
  const [rounds, pushes] = bench.quick ? [2, 12] : [5, 20];
  const built = await buildPushChains(bench.git, join(bench.scratch, 'many-clients'), CLIENTS, WARM_UP + pushes);
  const results = await alternate(bench, 'many-clients', rounds, ['plain', 'synced', 'subject'], async (round) => {
    await sendPrepared(round, built.base);
    await Promise.all(built.chains.map(async (chain) => {
      for (const prepared of chain.slice(0, WARM_UP)) await sendPrepared(round, prepared);
    }));
    const times: number[] = [];
    const begun = performance.now();
    await Promise.all(built.chains.map(async (chain) => {
      for (const prepared of chain.slice(WARM_UP)) times.push(await sendPrepared(round, prepared));
    }));
    const elapsedMs = performance.now() - begun;
    await expectRefs(round, [...built.base.updates, ...built.chains.flatMap((chain) => chain.at(-1)!.updates)]);
    return { perSecond: (times.length * 1000) / elapsedMs, p50: quantile(times, 0.5) };
  });
  const common = { measure: 'many-clients', summary: 'median' } as const;
  return [
    {
      ...common,
      what: `small pushes to one repository, ${CLIENTS} clients`,
      unit: 'pushes/s',
      better: 'higher',
      rounds: pick(results, (result) => result.perSecond),
      must: { ratio: 1 },
      dream: { value: 300 },
    },
    {
      ...common,
      what: 'the same, p50 of a push',
      unit: 'ms',
      better: 'lower',
      rounds: pick(results, (result) => result.p50),
    },
  ];
};
