import test from 'ava';
import { applyDelta } from './delta.ts';
import { delta } from './test-pack.ts';
import { Unclear } from './unclear.ts';

const BASE = Buffer.from('0123456789');

test('copies from the base and inserts', (t) => {
  t.is(applyDelta(BASE, delta(10, 4, 'abc')).toString(), '0123abc');
  // A copy at offset 3 of 2 bytes, then one at offset 0 of 1 byte.
  t.is(applyDelta(BASE, Buffer.from([10, 3, 0x91, 3, 2, 0x90, 1])).toString(), '340');
});

test('a copy of size zero copies 65,536 bytes', (t) => {
  const base = Buffer.alloc(0x10000 + 5, 'x');
  t.deepEqual(applyDelta(base, Buffer.from([0x85, 0x80, 4, 0x80, 0x80, 4, 0x80])), Buffer.alloc(0x10000, 'x'));
});

for (const [name, bytes] of [
  ['copies beyond the end of its base', delta(10, 11, '')],
  ['copies from behind the end of its base', Buffer.from([10, 1, 0x91, 10, 1])],
  ['copies more than its result holds', delta(10, 8, '', 7)],
  ['inserts more than its result holds', delta(10, 0, 'abc', 2)],
  ['fills less than its result', delta(10, 4, 'abc', 8)],
  ['is for a base of another size', delta(9, 4, 'abc')],
  ['ends within a copy', Buffer.from([10, 1, 0x91, 1])],
  ['ends within an insertion', Buffer.from([10, 3, 3, 65])],
  ['has the reserved instruction', Buffer.from([10, 1, 0, 1, 65])],
  ['is shorter than git allows', Buffer.from([10, 0])],
  ['has an endless size', Buffer.from([0x8a, 0x80, 0x80, 0x80, 0x80, 0, 1, 1, 65])],
] as const) {
  test(`leaves a delta to git that ${name}`, (t) => {
    t.throws(() => applyDelta(BASE, bytes), { instanceOf: Unclear });
  });
}
