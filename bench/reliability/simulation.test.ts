import test from 'ava';
import { parseRuns } from './simulation.ts';

for (const [what, output, expected] of [
  ['a line of JSON', 'seed 7\n{"runs":5000,"seconds":2.5,"failed":0}\n', { runs: 5_000, seconds: 2.5 }],
  ['a line of text', 'seed 7\n20,000 runs in 8.25 s, none failed\n', { runs: 20_000, seconds: 8.25 }],
  ['the last of several lines', '10 runs in 1 s\n20 runs in 2 s\n', { runs: 20, seconds: 2 }],
] as const) {
  test(`how long a simulation took is read from ${what}`, (t) => {
    t.deepEqual(parseRuns(output), expected);
  });
}

test('a simulation that does not say how long it took is an error', (t) => {
  t.throws(() => parseRuns('seed 7\n{"runs":5000}\n'), { message: /doesn't say how long/ });
});
