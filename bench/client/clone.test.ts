import { createHash } from 'node:crypto';
import test from 'ava';
import { PackCheck } from './clone.ts';

function pack(objects: number): Buffer {
  const body = Buffer.concat([Buffer.from('PACK'), Buffer.from([0, 0, 0, 2, 0, 0, 0, objects]), Buffer.alloc(50, 7)]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

function check(bytes: Buffer, chunkBytes: number): number {
  const checker = new PackCheck();
  for (let at = 0; at < bytes.length; at += chunkBytes) checker.push(bytes.subarray(at, at + chunkBytes));
  return checker.finish();
}

test('a whole pack passes in chunks of any size', (t) => {
  for (let chunkBytes = 1; chunkBytes <= pack(3).length; chunkBytes++) t.is(check(pack(3), chunkBytes), 3);
});

test('a pack cut short or changed is refused', (t) => {
  const changed = pack(3);
  changed[20]! ^= 1;
  t.throws(() => check(changed, 16), { message: /checksum/ });
  t.throws(() => check(pack(3).subarray(0, -1), 16), { message: /checksum/ });
  t.throws(() => check(Buffer.from('no pack at all, but long enough'), 16), { message: /no pack/ });
});
