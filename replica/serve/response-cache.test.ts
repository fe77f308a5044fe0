import test from 'ava';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { cacheKey, ResponseCache, type ResponseCacheLimits } from './response-cache.ts';
import { requestPackets } from './request-packets.ts';

const MIB = 1024 * 1024;
const pkt = (line: string) => (line.length + 4).toString(16).padStart(4, '0') + line;
const WANT = `want ${'a'.repeat(40)}\n`;
const CLONE = Buffer.from(`${pkt('command=fetch')}0001${pkt(WANT)}${pkt('done\n')}0000`);

async function cacheIn(t: { teardown(undo: () => Promise<void>): void }, limits: Partial<ResponseCacheLimits> = {}) {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-cache-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return { directory, cache: new ResponseCache(directory, { maxBytes: 4 * MIB, maxEntryBytes: 2 * MIB, ...limits }) };
}

/** A producer that counts how often it was asked. */
function producer(content: Buffer, end: { ok: boolean } = { ok: true }) {
  const asked = { times: 0 };
  return {
    asked,
    produce: async () => {
      asked.times += 1;
      const stream = Readable.from([content.subarray(0, 10), content.subarray(10)], { objectMode: false });
      const done = new Promise<{ ok: boolean }>((resolve) => { stream.once('close', () => resolve(end)); });
      return { stream, done };
    },
  };
}

async function ask(cache: ResponseCache, key: string, produce: ReturnType<typeof producer>['produce']): Promise<Buffer> {
  const { stream, done } = await cache.answer(key, produce);
  const content = await buffer(stream);
  await done;
  return content;
}

test('the third equal clone is answered from the file that the second one left', async (t) => {
  const { cache } = await cacheIn(t);
  const content = Buffer.alloc(MIB, 'x');
  const { asked, produce } = producer(content);
  for (let i = 0; i < 4; i++) t.true((await ask(cache, 'k', produce)).equals(content));
  t.is(asked.times, 2);
  t.is(cache.bytes, MIB);
});

test('what was answered from a repository whose objects were damaged is not given again; other repositories keep theirs', async (t) => {
  const { cache } = await cacheIn(t);
  const key = (gitDir: string) => cache.key(gitDir, 'd', 'version=2', CLONE, requestPackets(CLONE))!;
  const damaged = producer(Buffer.from('damaged bytes'));
  const other = producer(Buffer.from('other bytes'));
  const before = key('/r.git');
  for (let i = 0; i < 3; i++) await ask(cache, before, damaged.produce);
  for (let i = 0; i < 3; i++) await ask(cache, key('/s.git'), other.produce);
  cache.forget('/r.git');
  const mended = producer(Buffer.from('sound bytes'));
  t.is((await ask(cache, key('/r.git'), mended.produce)).toString(), 'sound bytes');
  t.is((await ask(cache, before, damaged.produce)).toString(), 'damaged bytes', 'control: the file is still there, under a key nobody has any more');
  await ask(cache, key('/s.git'), other.produce);
  t.is(other.asked.times, 2);
});

test('an answer that ended badly is not kept', async (t) => {
  const { cache, directory } = await cacheIn(t);
  const { asked, produce } = producer(Buffer.alloc(1000), { ok: false });
  for (let i = 0; i < 4; i++) await ask(cache, 'k', produce);
  t.is(asked.times, 4);
  t.deepEqual(await readdir(directory), []);
});

test('an answer that the client left half-way is not kept, and its producer is stopped', async (t) => {
  const { cache, directory } = await cacheIn(t);
  const { produce } = producer(Buffer.alloc(MIB));
  await ask(cache, 'k', produce);
  const source = Readable.from((async function* () { for (;;) yield Buffer.alloc(1000); })(), { objectMode: false });
  const ended = new Promise<{ ok: boolean }>((resolve) => { source.once('close', () => resolve({ ok: false })); });
  const { stream, done } = await cache.answer('k', async () => ({ stream: source, done: ended }));
  await new Promise((resolve) => { stream.once('data', resolve); });
  stream.destroy();
  t.false((await done).ok);
  t.true(source.destroyed);
  t.deepEqual(await readdir(directory), []);
});

test('an answer larger than allowed is given whole and not kept', async (t) => {
  const { cache, directory } = await cacheIn(t, { maxEntryBytes: 1000 });
  const content = Buffer.alloc(5000, 'y');
  const { asked, produce } = producer(content);
  for (let i = 0; i < 3; i++) t.true((await ask(cache, 'k', produce)).equals(content));
  t.is(asked.times, 3);
  t.deepEqual(await readdir(directory), []);
});

test('the least recently used answers go when there are too many', async (t) => {
  const { cache } = await cacheIn(t, { maxBytes: 2 * MIB });
  const content = Buffer.alloc(MIB, 'z');
  const producers = new Map(['a', 'b', 'c'].map((key) => [key, producer(content)]));
  const use = (key: string) => ask(cache, key, producers.get(key)!.produce);
  for (const key of ['a', 'a', 'b', 'b', 'a', 'c', 'c']) await use(key);
  t.is(cache.bytes, 2 * MIB);
  await use('a');
  t.is(producers.get('a')!.asked.times, 2);
  await use('b');
  t.is(producers.get('b')!.asked.times, 3);
});

test('an entry whose file is gone is made again', async (t) => {
  const { cache, directory } = await cacheIn(t);
  const content = Buffer.alloc(5000, 'y');
  const { asked, produce } = producer(content);
  for (let i = 0; i < 3; i++) await ask(cache, 'k', produce);
  await rm(join(directory, 'k'));
  t.true((await ask(cache, 'k', produce)).equals(content));
  t.is(asked.times, 3);
});

test('a cache of no bytes keeps nothing', async (t) => {
  const { cache, directory } = await cacheIn(t, { maxBytes: 0 });
  const { asked, produce } = producer(Buffer.alloc(100));
  for (let i = 0; i < 3; i++) await ask(cache, 'k', produce);
  t.is(asked.times, 3);
  t.deepEqual(await readdir(directory), []);
});

test('only requests that are complete in themselves have a key', (t) => {
  const key = (body: Buffer) => cacheKey('/r.git', 'd', 'version=2', body, requestPackets(body));
  t.regex(key(CLONE)!, /^[0-9a-f]{64}$/);
  t.is(key(Buffer.from(`${pkt('command=fetch')}0001${pkt(WANT)}0000`)), undefined);
  t.is(key(Buffer.from(`${pkt('command=fetch')}0001${pkt(WANT)}${pkt(`have ${'b'.repeat(40)}\n`)}${pkt('done\n')}0000`)), undefined);
  t.is(key(Buffer.from(`${pkt('command=fetch')}0001${pkt('done\n')}0000`)), undefined);
});

test('the key changes with everything the answer depends on', (t) => {
  const packets = requestPackets(CLONE);
  const other = Buffer.from(CLONE.toString().replace(pkt('done\n'), `${pkt('filter blob:none\n')}${pkt('done\n')}`));
  const keys = [
    cacheKey('/r.git', 'd', 'version=2', CLONE, packets), cacheKey('/s.git', 'd', 'version=2', CLONE, packets),
    cacheKey('/r.git', 'e', 'version=2', CLONE, packets), cacheKey('/r.git', 'd', undefined, CLONE, packets),
    cacheKey('/r.git', 'd', 'version=2', other, requestPackets(other)),
  ];
  t.is(new Set(keys).size, keys.length);
});
