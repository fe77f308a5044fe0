import test from 'ava';
import { Random } from './random.ts';

const draw = (random: Random) => Array.from({ length: 20 }, () => random.below(1000));

test('the same seed gives the same numbers, another seed others', (t) => {
  t.deepEqual(draw(new Random('a')), draw(new Random('a')));
  t.notDeepEqual(draw(new Random('a')), draw(new Random('b')));
});

test('numbers stay within their bounds and reach both ends', (t) => {
  const random = new Random('bounds');
  const drawn = new Set(Array.from({ length: 1000 }, () => random.below(4)));
  t.deepEqual([...drawn].sort(), [0, 1, 2, 3]);
});
