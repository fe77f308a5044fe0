import test from 'ava';
import { CONTROLS } from './controls.ts';
import { runCampaign } from './pool.ts';

/** Runs of the same kind with all guards in place. */
const BASELINE_RUNS = 200;

for (const { name, without, set, from, maxRuns } of CONTROLS) {
  test.serial(`control: without ${name}, ${without}, and a checker notices`, async (t) => {
    t.timeout(600_000);
    const { failures } = await runCampaign({ from, runs: maxRuns, workers: 2, settings: { set }, control: name });
    t.true(failures.length > 0, `nobody noticed in ${maxRuns} runs`);
    const [{ seed, violation }] = failures as [typeof failures[number]];
    t.log(`noticed after ${seed - from + 1} runs: ${violation.checker}: ${violation.problem}`);
    const baseline = await runCampaign({ from: seed, runs: BASELINE_RUNS, workers: 2, settings: { set } });
    t.deepEqual(baseline.failures, [], 'with the guard there is nothing to be noticed');
  });
}
