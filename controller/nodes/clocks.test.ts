import test from 'ava';
import { Clocks } from './clocks.ts';

test('a clock that is wrong is told once, and once more when it is right again', (t) => {
  const told: [string, number, boolean][] = [];
  const clocks = new Clocks(1_000, (...change) => told.push(change));
  for (const skewMs of [0, 1_000, 1_001, 5_000, -1_000, -1_001]) clocks.seen('a', skewMs);
  clocks.seen('b', 0);
  t.deepEqual(told, [['a', 1_001, true], ['a', -1_000, false], ['a', -1_001, true]]);
});
