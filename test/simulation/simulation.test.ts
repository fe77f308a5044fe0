import { availableParallelism } from 'node:os';
import test from 'ava';
import { runCampaign } from './pool.ts';

/** Seeds are the same each time, so that a failure is the change's; another base looks at other runs. */
const FROM = Number(process.env['TRIVET_SIMULATION_SEED'] ?? 1);
const RUNS = 20_000;

test('twenty thousand runs with all kinds of faults violate nothing', async (t) => {
  t.timeout(600_000);
  t.log(`seeds ${FROM} to ${FROM + RUNS - 1}; replay one with: npm run simulate -- --seed N`);
  const result = await runCampaign({ from: FROM, runs: RUNS, workers: Math.min(availableParallelism(), 4), settings: { set: [] } });
  t.deepEqual(result.failures, []);
  t.is(result.runs, RUNS);
  t.true(result.acknowledged > RUNS / 2, 'the runs get something done');
});
