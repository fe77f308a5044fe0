import { join } from 'node:path';
import type { Measure } from './measure.ts';
import { buildManyRefs } from './repositories/many-refs.ts';
import { alternate, expectRefs, pick, sendPrepared } from './rounds.ts';

const REFS = 1_000;

/** How long one push of a thousand new branches takes. */
export const manyRefs: Measure = async (bench) => {
  const rounds = bench.quick ? 3 : 7;
  const built = await buildManyRefs(bench.git, join(bench.scratch, 'many-refs'), REFS);
  const results = await alternate(bench, 'many-refs', rounds, ['plain', 'synced', 'subject'], async (round) => {
    await sendPrepared(round, built.base);
    const atOneCommit = await sendPrepared(round, built.atOneCommit);
    const atManyCommits = await sendPrepared(round, built.atManyCommits);
    await expectRefs(round, [built.base, built.atOneCommit, built.atManyCommits].flatMap(({ updates }) => updates));
    return { atOneCommit, atManyCommits };
  });
  const common = { measure: 'many-refs', unit: 'ms', better: 'lower', summary: 'median' } as const;
  return [
    {
      ...common,
      what: 'one push of 1,000 refs',
      rounds: pick(results, (result) => result.atOneCommit),
      must: { ratio: 0.5 },
      dream: { ratio: 0.2 },
    },
    {
      ...common,
      what: 'the same, each at a new commit (1,000 refs there before)',
      rounds: pick(results, (result) => result.atManyCommits),
    },
  ];
};
