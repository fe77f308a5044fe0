import test from 'ava';
import { PassThrough, Readable } from 'node:stream';
import { chunksOf } from './chunks-of.ts';

test('chunks come as they were written, one by one and in order', async (t) => {
  const stream = new PassThrough({ highWaterMark: 1_000_000 });
  for (const text of ['a', 'bb', 'ccc']) stream.write(text);
  stream.end('dddd');
  const seen: string[] = [];
  for await (const chunk of chunksOf(stream)) seen.push(chunk.toString());
  t.deepEqual(seen, ['a', 'bb', 'ccc', 'dddd']);
});

test('control: a stream of its own glues together what is buffered', async (t) => {
  const stream = new PassThrough({ highWaterMark: 1_000_000 });
  for (const text of ['a', 'bb', 'ccc']) stream.write(text);
  stream.end('dddd');
  const seen: string[] = [];
  for await (const chunk of stream) seen.push(String(chunk));
  t.true(seen.length < 4);
});

test('a source is not read further than its reader asks', async (t) => {
  let produced = 0;
  const source = new Readable({ highWaterMark: 1, read() { produced += 1; this.push(Buffer.alloc(10)); } });
  const chunks = chunksOf(source);
  await chunks.next();
  await chunks.next();
  await new Promise((resolve) => setImmediate(resolve));
  t.true(produced <= 5, `${produced} chunks were produced for 2 that were read`);
  await chunks.return(undefined);
  source.destroy();
});

test('the error of a stream is thrown after the chunks before it', async (t) => {
  const stream = new PassThrough();
  const chunks = chunksOf(stream);
  stream.write('a');
  t.is((await chunks.next()).value?.toString(), 'a');
  stream.destroy(new Error('broken'));
  await t.throwsAsync(async () => { for (;;) if ((await chunks.next()).done) return; }, { message: 'broken' });
});

test('a stream that closes before its end is an error, also when it had closed before', async (t) => {
  const stream = new PassThrough();
  const chunks = chunksOf(stream);
  const next = chunks.next();
  stream.destroy();
  await t.throwsAsync(next, { message: /closed before its end/ });
  await t.throwsAsync(chunksOf(stream).next(), { message: /closed before its end/ });
});

test('a stream that has ended gives nothing', async (t) => {
  const stream = Readable.from([]);
  stream.resume();
  await new Promise((resolve) => { stream.once('end', resolve); });
  t.true((await chunksOf(stream).next()).done);
});

test('giving up leaves the stream alive, and without listeners', async (t) => {
  const stream = new PassThrough();
  stream.write('a');
  for await (const _ of chunksOf(stream)) break;
  t.false(stream.destroyed);
  t.is(stream.listenerCount('data'), 0);
});
