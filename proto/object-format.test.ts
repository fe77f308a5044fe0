import test from 'ava';
import { isOid, isZeroOid, OBJECT_FORMATS, oidLength, zeroOid } from './object-format.ts';

test('ids are as long as their hash', (t) => {
  t.deepEqual(OBJECT_FORMATS.map(oidLength), [40, 64]);
  t.deepEqual(OBJECT_FORMATS.map((format) => zeroOid(format).length), [40, 64]);
});

test('an id is lower-case hexadecimal of exactly its length', (t) => {
  const digits = '0123456789abcdef'.repeat(4);
  for (const format of OBJECT_FORMATS) {
    const oid = digits.slice(0, oidLength(format));
    t.true(isOid(oid, format));
    t.true(isOid(zeroOid(format), format));
    for (const text of ['', oid.slice(1), `${oid}0`, oid.toUpperCase(), `${oid.slice(1)}g`, `${oid.slice(1)}\n`, ` ${oid.slice(1)}`, `${oid.slice(2)}..`]) {
      t.false(isOid(text, format), JSON.stringify(text));
    }
  }
  t.false(isOid(zeroOid('sha1'), 'sha256'));
  t.false(isOid(zeroOid('sha256'), 'sha1'));
});

test('the zero id is zeros and nothing else', (t) => {
  t.true(isZeroOid(zeroOid('sha1')));
  t.true(isZeroOid(zeroOid('sha256')));
  for (const text of ['', `${'0'.repeat(39)}1`, `${'0'.repeat(40)}\n`, 'a'.repeat(40)]) t.false(isZeroOid(text));
});
