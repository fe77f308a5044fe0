import { availableParallelism } from 'node:os';
import test from 'ava';
import { runCampaign } from './pool.ts';

/** Seeds are the same each time, so that a failure is the change's; another base looks at other runs. */
const FROM = Number(process.env['TRIVET_SIMULATION_SEED'] ?? 1);
const RUNS = 20_000;
/** One test each, so that a busy machine has time for it. */
const PARTS = 5;

for (let part = 0; part < PARTS; part++) {
  const runs = RUNS / PARTS;
  const from = FROM + part * runs;
  test.serial(`${runs} runs with all kinds of faults violate nothing: seeds from ${from}`, async (t) => {
    t.timeout(600_000);
    const result = await runCampaign({ from, runs, workers: Math.min(availableParallelism(), 4), settings: { set: [] } });
    t.deepEqual(result.failures, [], 'replay one with: npm run simulate -- --seed N');
    t.is(result.runs, runs);
    t.true(result.acknowledged > runs / 2, 'the runs get something done');
  });
}
