import test from 'ava';
import fc from 'fast-check';
import { ByteReader } from './byte-reader.ts';
import { inPieces } from './test-stream.ts';

const sizes = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 10 });

test('gives the bytes in order, whatever is asked for and however they come', async (t) => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), sizes, fc.array(fc.integer({ min: 0, max: 50 })), async (array, pieces, asked) => {
    const bytes = Buffer.from(array);
    const reader = new ByteReader(inPieces(bytes, pieces));
    let at = 0;
    for (const length of asked) {
      if (at + length > bytes.length) break;
      t.true((await reader.read(length)).equals(bytes.subarray(at, at + length)));
      at += length;
    }
    const rest: Buffer[] = [];
    for await (const chunk of reader.rest()) rest.push(chunk);
    t.true(Buffer.concat(rest).equals(bytes.subarray(at)));
    t.true(await reader.atEnd());
  }));
  t.pass();
});

test('says how many bytes are missing when the source ends before', async (t) => {
  const reader = new ByteReader(inPieces(Buffer.from('abcdef'), [2]));
  await reader.read(1);
  const error = await t.throwsAsync(reader.read(9));
  t.like(error, { code: 'body_truncated', fields: { expected: 9, missing: 4 } });
});

test('empty chunks are not the end', async (t) => {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.alloc(0);
    yield Buffer.from('a');
    yield Buffer.alloc(0);
    yield Buffer.from('b');
  }
  const reader = new ByteReader(source());
  t.false(await reader.atEnd());
  t.is((await reader.read(2)).toString(), 'ab');
  t.true(await reader.atEnd());
});

test('reads nothing ahead of what was asked for', async (t) => {
  let given = 0;
  async function* source(): AsyncGenerator<Buffer> {
    for (;;) {
      given += 1;
      yield Buffer.from('abcd');
    }
  }
  const reader = new ByteReader(source());
  await reader.read(4);
  t.is(given, 1);
  await reader.read(0);
  t.is(given, 1);
  await reader.read(5);
  t.is(given, 3);
});

test('passes on what the source throws', async (t) => {
  async function* source(): AsyncGenerator<Buffer> {
    yield Buffer.from('a');
    throw new Error('the wire is cut');
  }
  await t.throwsAsync(new ByteReader(source()).read(2), { message: 'the wire is cut' });
});
