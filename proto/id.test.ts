import test from 'ava';
import { isId, newId } from './id.ts';

test('a new id has the form of an id and is never given twice', (t) => {
  const ids = Array.from({ length: 10_000 }, () => newId());
  t.true(ids.every(isId));
  t.is(new Set(ids).size, ids.length);
});

test('ids made later sort later, until long after the year 9999', (t) => {
  const ids = [0, 1, 255, 1_700_000_000_000, 1_700_000_000_001, 253_402_300_800_000].map((nowMs) => newId(nowMs));
  t.true(ids.every(isId));
  t.deepEqual([...ids].sort(), ids);
});

test('nothing that could be a path is an id', (t) => {
  for (const text of ['', 'a'.repeat(31), 'a'.repeat(33), 'A'.repeat(32), `${'a'.repeat(31)}/`, `${'a'.repeat(32)}\n`, `${'a'.repeat(29)}/..`, `${'a'.repeat(31)}\0`, 'g'.repeat(32)]) {
    t.false(isId(text), JSON.stringify(text));
  }
});
