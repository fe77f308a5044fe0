import test from 'ava';
import { Away } from './away.ts';

const silent = (ms: number) => new Map([['n1', ms], ['n2', 0]]);

test('a node is away when it was silent for long and looked for in vain for a while', (t) => {
  const away = new Away(900_000);
  t.deepEqual([...away.look(silent(900_000), 0)], []);
  t.deepEqual([...away.look(silent(914_000), 14_000)], []);
  t.deepEqual([...away.look(silent(928_000), 28_000)], []);
  t.deepEqual([...away.look(silent(930_000), 30_000)], ['n1']);
});

test('a node that is heard of again is not away, and has its full time the next time', (t) => {
  const away = new Away(20_000);
  away.look(silent(20_000), 0);
  away.look(silent(30_000), 10_000);
  t.deepEqual([...away.look(silent(40_000), 20_000)], ['n1']);
  t.deepEqual([...away.look(silent(0), 21_000)], []);
  t.deepEqual([...away.look(silent(20_000), 31_000)], []);
});

test('nobody is away just because nobody looked: after a pause it begins anew', (t) => {
  const away = new Away(20_000);
  away.look(silent(20_000), 0);
  t.deepEqual([...away.look(silent(3_620_000), 3_600_000)], []);
});
