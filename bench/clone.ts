import { join } from 'node:path';
import { clone as cloneOnce } from './client/clone.ts';
import type { Measure } from './measure.ts';
import { buildRealRepository } from './repositories/real.ts';
import { alternate, expectRefs, pick, sendPackFile } from './rounds.ts';
import { median } from './statistics.ts';

const PARALLEL = 4;
const KEPT_AFTER = 6;

/**
 * How fast a repository with a real history is cloned, as it lies there after its push: nobody has repacked it. The
 * megabytes are those of the pack that was pushed, so that a server gains nothing by sending a larger one. What is judged
 * are requests that are like none before; a server that keeps answers shows that in a row of its own.
 */
export const clone: Measure = async (bench) => {
  const [rounds, alone, inParallel] = bench.quick ? [2, 4, 4] : [4, 6, 8];
  const repository = await buildRealRepository(bench.git, bench.cache, join(bench.scratch, 'real'), bench.progress);
  const megabytes = repository.packBytes / 1e6;
  const results = await alternate(bench, 'clone', rounds, ['plain', 'subject'], async (round) => {
    const pushMs = await sendPackFile(round, repository);
    await expectRefs(round, repository.updates);
    let clones = 0;
    const checked = async (agent?: string) => {
      const { milliseconds, objects } = await cloneOnce(round.client, round.url, agent ?? `git/bench-${++clones}`);
      if (objects !== repository.objects) throw new Error(`${objects} objects were cloned, not ${repository.objects}`);
      return milliseconds;
    };
    await checked();
    const times: number[] = [];
    for (let i = 0; i < alone; i++) times.push(await checked());
    // Twice on each of three nodes before the last of them has the answer.
    for (let i = 0; i < KEPT_AFTER; i++) await checked('git/again');
    const again: number[] = [];
    for (let i = 0; i < alone; i++) again.push(await checked('git/again'));
    const begun = performance.now();
    let left = inParallel;
    await Promise.all(Array.from({ length: PARALLEL }, async () => {
      while (left-- > 0) await checked();
    }));
    const parallelMs = performance.now() - begun;
    return {
      pushSeconds: pushMs / 1000,
      alone: (megabytes * 1000) / median(times),
      again: (megabytes * 1000) / median(again),
      inParallel: (megabytes * 1000 * inParallel) / parallelMs,
    };
  });
  const commits = repository.commits.toLocaleString('en');
  const common = { measure: 'clone', unit: 'MB/s', better: 'higher', summary: 'median' } as const;
  return [
    {
      ...common,
      what: `clone of ${megabytes.toFixed(0)} MB, ${commits} commits`,
      rounds: pick(results, (result) => result.alone),
      must: { ratio: 0.9 },
      dream: { ratio: 1 },
    },
    { ...common, what: 'the same, as a request that came before', rounds: pick(results, (result) => result.again) },
    { ...common, what: `the same, ${PARALLEL} clones at a time`, rounds: pick(results, (result) => result.inParallel) },
    {
      ...common,
      what: 'its first push',
      unit: 's',
      better: 'lower',
      rounds: pick(results, (result) => result.pushSeconds),
    },
  ];
};
