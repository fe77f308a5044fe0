import test from 'ava';
import { sparingly } from './sparingly.ts';

test('an answer is good for as long as it was dear, and no longer', async (t) => {
  let now = 0;
  let asked = 0;
  const ask = sparingly(async () => { now += 100; return ++asked; }, () => now);
  t.is(await ask(), 1);
  now += 4_999;
  t.is(await ask(), 1);
  now += 1;
  t.is(await ask(), 2);
});

test('those who ask at once get one answer, and a failure is nobody\'s later on', async (t) => {
  let asked = 0;
  const ask = sparingly(async () => {
    asked += 1;
    if (asked === 1) throw new Error('no');
    return asked;
  });
  const first = await Promise.allSettled([ask(), ask()]);
  t.deepEqual(first.map(({ status }) => status), ['rejected', 'rejected']);
  t.deepEqual(await Promise.all([ask(), ask()]), [2, 2]);
});
