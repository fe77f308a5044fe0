import test from 'ava';
import { parseRuns } from './simulation.ts';

for (const [what, output, expected] of [
  [
    'its last line',
    'seeds 1 to 300, 1 workers\n100 of 300 runs, 500 runs/s, 0 failures\n300 runs, 366 pushes acknowledged, 0 failures, 650 runs/s, 344 events a run\n',
    { runs: 300, perSecond: 650 },
  ],
  ['a line with its time', 'seed 7\n20,000 runs in 8 s, none failed\n', { runs: 20_000, perSecond: 2_500 }],
] as const) {
  test(`how fast a simulation was is read from ${what}`, (t) => {
    t.deepEqual(parseRuns(output), expected);
  });
}

test('a simulation that does not say how fast it was is an error', (t) => {
  t.throws(() => parseRuns('seed 7\n100 of 300 runs, 500 runs/s, 0 failures\n'), { message: /doesn't say how fast/ });
});
