import test from 'ava';
import { median, quantile } from './statistics.ts';

for (const [values, expected] of [
  [[7], 7],
  [[9, 1, 5], 5],
  [[4, 1, 3, 2], 2.5],
  [[10, 9, 100], 10],
] as const) {
  test(`the median of ${values.join(', ')} is ${expected}`, (t) => {
    t.is(median(values), expected);
  });
}

test('a quantile is interpolated between its neighbours', (t) => {
  t.is(quantile([0, 10, 20, 30, 40], 0.9), 36);
  t.is(quantile([3, 1, 2], 0), 1);
  t.is(quantile([3, 1, 2], 1), 3);
});

test('taking a median leaves the values in their order', (t) => {
  const values = [3, 1, 2];
  median(values);
  t.deepEqual(values, [3, 1, 2]);
});

test('no values have no median, and a quantile outside 0 to 1 is refused', (t) => {
  t.throws(() => median([]), { instanceOf: RangeError });
  t.throws(() => quantile([1], 1.1), { instanceOf: RangeError });
});
