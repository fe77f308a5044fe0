import { join } from 'node:path';
import type { Measure } from './measure.ts';
import { buildPushChains } from './repositories/push-chains.ts';
import { alternate, expectRefs, pick, sendPrepared } from './rounds.ts';
import { quantile } from './statistics.ts';

/** How long a small push takes, one after another from one client. */
export const smallPush: Measure = async (bench) => {
  const [rounds, warmUp, pushes] = bench.quick ? [4, 5, 15] : [9, 5, 30];
  const { base, chains } = await buildPushChains(bench.git, join(bench.scratch, 'small-push'), 1, warmUp + pushes);
  const chain = chains[0]!;
  const results = await alternate(bench, 'small-push', rounds, ['plain', 'synced', 'subject'], async (round) => {
    await sendPrepared(round, base);
    const times: number[] = [];
    for (const prepared of chain) times.push(await sendPrepared(round, prepared));
    await expectRefs(round, [...base.updates, ...chain.at(-1)!.updates]);
    const timed = times.slice(warmUp);
    return { p50: quantile(timed, 0.5), p90: quantile(timed, 0.9) };
  });
  const common = { measure: 'small-push', unit: 'ms', better: 'lower', summary: 'median' } as const;
  return [
    {
      ...common,
      what: 'small push, p50',
      rounds: pick(results, (result) => result.p50),
      must: { ratio: 1.5 },
      dream: { ratio: 0.5 },
    },
    { ...common, what: 'small push, p90', rounds: pick(results, (result) => result.p90) },
  ];
};
