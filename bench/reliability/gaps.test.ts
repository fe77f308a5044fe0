import test from 'ava';
import { longestGap } from './gaps.ts';

for (const [what, successes, from, to, expected] of [
  ['between two successes', [10, 20, 50, 60], 10, 60, 30],
  ['from the last success before the fault on', [10, 90, 200, 210], 100, 210, 110],
  ['from the fault on when nothing succeeded before', [130], 100, 140, 30],
  ['to the end when nothing succeeds any more', [100, 110], 100, 500, 390],
  ['over everything when nothing succeeded at all', [], 100, 500, 400],
  ['without what lies before the fault', [0, 90, 100, 110], 95, 110, 10],
  ['without what lies behind the end', [100, 110, 900], 100, 120, 10],
  ['in whatever order the successes come', [60, 10, 50, 20], 10, 60, 30],
] as const) {
  test(`the longest gap is measured ${what}`, (t) => {
    t.is(longestGap(successes, from, to), expected);
  });
}
