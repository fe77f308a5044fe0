import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import type { Oid } from '@trivet/proto/object-format.ts';
import { ObjectReaders } from '../git/object-reader.ts';
import { runGit, running } from '../git/process.ts';
import { Ingest, type IngestGuards, type IngestLimits, type IngestResult, type Quarantine } from './ingest.ts';
import {
  blob, buildPack, commit, createTestRepository, delta, idOf, refDelta, streamOf, tree, whole, type TestObject,
} from './test-pack.ts';

const LIMITS: IngestLimits = { smallPackBytes: 1 << 20, maxPackBytes: 1 << 30, mode: 'fast' };
const FORMAT = 'sha1';

// What git processes the code under test starts, in this file's process.
let started: string[][] = [];
const add = running.add.bind(running);
running.add = (child) => {
  started.push(child.spawnargs);
  return add(child);
};

interface Bench {
  gitDir: string;
  readers: ObjectReaders;
  /** The names of what is in quarantine. */
  quarantined(): Promise<string[]>;
  ingest(pack: AsyncIterable<Buffer> | Buffer | undefined, tips: Oid[], options?: Options): Promise<IngestResult>;
  /** Takes in whole objects and migrates them. */
  store(...objects: TestObject[]): Promise<void>;
}

interface Options {
  limits?: Partial<IngestLimits>;
  guards?: IngestGuards;
  signal?: AbortSignal;
  quarantine?: string;
}

async function setUp(t: ExecutionContext): Promise<Bench> {
  const { root, gitDir, remove } = await createTestRepository(FORMAT);
  const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000 });
  t.teardown(async () => {
    await readers.closeAll();
    await remove();
  });
  const bench: Bench = {
    gitDir, readers,
    quarantined: async () => (await readdir(root)).filter((name) => name.startsWith('quarantine')),
    ingest: (pack, tips, { limits, guards, signal = new AbortController().signal, quarantine = 'quarantine' } = {}) =>
      new Ingest(readers, { ...LIMITS, ...limits }, guards).ingest({
        gitDir, objectFormat: FORMAT, quarantineDir: join(root, quarantine), tips, signal,
        pack: Buffer.isBuffer(pack) ? streamOf(pack, 64 * 1024) : pack,
      }),
    store: async (...objects) => {
      const result = await bench.ingest(buildPack(objects.map(whole), FORMAT), []);
      await quarantineOf(t, result).migrate();
    },
  };
  return bench;
}

function quarantineOf(t: ExecutionContext, result: IngestResult): Quarantine {
  if (!result.ok) throw new Error(result.reason);
  t.true(result.ok);
  return result.quarantine;
}

const id = (object: TestObject) => idOf(object, FORMAT);
const TEXT = blob('a line of text\n'.repeat(20));
const ROOT = tree([['100644', 'file.txt', id(TEXT)]]);
const FIRST = commit({ tree: id(ROOT) });

/** A push of one changed file: a thin pack of a commit object, a tree and a delta. */
function smallPush(text: string): { pack: Buffer; tip: Oid; objects: TestObject[] } {
  const body = blob(Buffer.concat([TEXT.body, Buffer.from(text)]));
  const root = tree([['100644', 'file.txt', id(body)]]);
  const next = commit({ tree: id(root), parents: [id(FIRST)] });
  const bytes = delta(TEXT.body.length, TEXT.body.length, text);
  const pack = buildPack([whole(next), whole(root), refDelta(id(TEXT), bytes)], FORMAT);
  return { pack, tip: id(next), objects: [next, root, body] };
}

test.serial('starts no process for a small push once warm', async (t) => {
  const { ingest, store } = await setUp(t);
  await store(TEXT, ROOT, FIRST);
  started = [];
  for (const text of ['one', 'two', 'three']) {
    const { pack, tip } = smallPush(text);
    await quarantineOf(t, await ingest(pack, [tip])).migrate();
  }
  t.deepEqual(started, []);
});

test.serial('asks git about a .gitattributes file once, not for every tree that holds it', async (t) => {
  const { ingest, store } = await setUp(t);
  const attributes = blob('*.png binary\n');
  await store(TEXT, attributes);
  const push = (text: string) => {
    const body = blob(text);
    const root = tree([['100644', '.gitattributes', id(attributes)], ['100644', 'a', id(body)]]);
    return buildPack([whole(body), whole(root)], FORMAT);
  };
  await quarantineOf(t, await ingest(push('one'), [])).discard();
  started = [];
  await quarantineOf(t, await ingest(push('two'), [])).discard();
  t.deepEqual(started, []);
});

test.serial('a missing blob is noticed by the link check alone', async (t) => {
  const { ingest } = await setUp(t);
  const pack = buildPack([whole(FIRST), whole(ROOT)], FORMAT);
  t.like(await ingest(pack, [id(FIRST)]), { ok: false, reason: `missing object ${id(TEXT)}` });
  const unguarded = await ingest(pack, [id(FIRST)], { guards: { verifyLinks: () => {} } });
  t.true(unguarded.ok, 'the control: without the guard the pack gets in');
  await quarantineOf(t, unguarded).discard();
});

for (const mode of ['fast', 'git'] as const) {
  test.serial(`a ${mode} push is invisible until it is migrated, and whole afterwards`, async (t) => {
    const { ingest, store, gitDir, quarantined, readers } = await setUp(t);
    await store(TEXT, ROOT, FIRST);
    const { pack, tip, objects } = smallPush('something more\n');
    const quarantine = quarantineOf(t, await ingest(pack, [tip], { limits: { mode } }));
    t.is(quarantine.typeOf(tip), 'commit');
    t.is(quarantine.typeOf(id(TEXT)), undefined);
    t.is(quarantine.objects, 3);
    t.is(quarantine.bytes, pack.length);
    t.deepEqual(await readers.get(gitDir, FORMAT).info([tip]), [undefined]);

    await Promise.all([quarantine.migrate(), quarantine.migrate()]);
    await quarantine.discard();
    t.deepEqual(await quarantined(), []);
    t.deepEqual((await readers.get(gitDir, FORMAT).contents(objects.map(id))).map((found) => found?.body),
      objects.map((object) => object.body));
    await runGit(['fsck', '--strict', '--full', tip], { gitDir });
    t.deepEqual((await readdir(join(gitDir, 'objects', 'pack'))).filter((name) => !/\.(pack|idx)$/.test(name)), []);
  });

  test.serial(`a discarded ${mode} push leaves nothing and can't be migrated`, async (t) => {
    const { ingest, gitDir, quarantined } = await setUp(t);
    const pack = buildPack([whole(TEXT)], FORMAT);
    const quarantine = quarantineOf(t, await ingest(pack, [id(TEXT)], { limits: { mode } }));
    t.not((await quarantined()).length, 0);
    await quarantine.discard();
    await quarantine.discard();
    t.deepEqual(await quarantined(), []);
    await t.throwsAsync(quarantine.migrate(), { message: /discarded/ });
    t.deepEqual(await readdir(join(gitDir, 'objects', 'pack')), []);
  });

  test.serial(`two ${mode} pushes of one repository are taken in at once`, async (t) => {
    const { ingest, store, gitDir } = await setUp(t);
    await store(TEXT, ROOT, FIRST);
    const pushes = ['left', 'right', 'right'].map((text) => smallPush(text));
    const results = await Promise.all(pushes.map(({ pack, tip }, i) =>
      ingest(pack, [tip], { limits: { mode }, quarantine: `quarantine-${i}` })));
    await Promise.all(results.map((result) => quarantineOf(t, result).migrate()));
    await runGit(['fsck', '--strict', '--full', ...pushes.map(({ tip }) => tip)], { gitDir });
    t.is((await readdir(join(gitDir, 'objects', 'pack'))).length, 2 * 3);
  });

  test.serial(`a ${mode} push that breaks off leaves no directory and no process`, async (t) => {
    const { ingest, quarantined } = await setUp(t);
    const pack = buildPack([whole(blob(randomBytes(300_000)))], FORMAT);
    async function* broken(): AsyncGenerator<Buffer> {
      yield pack.subarray(0, 200_000);
      throw new Error('the client has gone');
    }
    await t.throwsAsync(ingest(broken(), [], { limits: { mode, smallPackBytes: 100_000 } }), { message: /has gone/ });
    t.deepEqual(await quarantined(), []);
    t.deepEqual([...running].filter((child) => !child.spawnargs.includes('cat-file')), []);
  });

  test.serial(`a ${mode} push that stalls for ever ends with its signal`, async (t) => {
    const { ingest, quarantined } = await setUp(t);
    const abort = new AbortController();
    // Nothing is wrong with it so far: git waits for more and has no verdict yet.
    const pack = buildPack([whole(blob(randomBytes(300_000)))], FORMAT);
    async function* stalling(): AsyncGenerator<Buffer> {
      yield pack.subarray(0, 200_000);
      abort.abort(new Error('enough'));
      await new Promise(() => {});
    }
    const limits = { mode, smallPackBytes: 100 };
    await t.throwsAsync(ingest(stalling(), [], { limits, signal: abort.signal }), { message: 'enough' });
    t.deepEqual(await quarantined(), []);
    t.deepEqual([...running].filter((child) => !child.spawnargs.includes('cat-file')), []);
  });

  test.serial(`a ${mode} push with more bytes than allowed is refused, whatever comes after`, async (t) => {
    const { ingest, quarantined } = await setUp(t);
    async function* endless(): AsyncGenerator<Buffer> {
      yield buildPack([whole(blob(randomBytes(300_000)))], FORMAT).subarray(0, -30);
      for (;;) yield Buffer.alloc(65536);
    }
    for (const smallPackBytes of [1000, 1 << 20]) {
      t.deepEqual(await ingest(endless(), [], { limits: { mode, smallPackBytes, maxPackBytes: 500_000 } }),
        { ok: false, reason: 'pack exceeds maximum allowed size' });
    }
    t.deepEqual(await quarantined(), []);
  });

  test.serial(`a ${mode} push without objects only needs its tips`, async (t) => {
    const { ingest, store, quarantined } = await setUp(t);
    await store(TEXT, ROOT, FIRST);
    for (const pack of [undefined, buildPack([], FORMAT)]) {
      const quarantine = quarantineOf(t, await ingest(pack, [id(FIRST)], { limits: { mode } }));
      t.is(quarantine.typeOf(id(FIRST)), 'commit');
      t.deepEqual(await quarantined(), []);
      await quarantine.migrate();
      await quarantine.discard();
      t.deepEqual(await ingest(pack, [id(FIRST), 'ab'.repeat(20)], { limits: { mode } }),
        { ok: false, reason: 'missing necessary objects' });
    }
  });
}

test.serial('a pack that is not small goes through git as a stream, trailing bytes and all', async (t) => {
  const { ingest } = await setUp(t);
  const large = blob(randomBytes(2_000_000));
  const pack = buildPack([whole(large), whole(TEXT)], FORMAT);
  const quarantine = quarantineOf(t, await ingest(pack, [id(large)]));
  t.is(quarantine.bytes, pack.length);
  await quarantine.discard();
  const trailing = Buffer.concat([pack, Buffer.alloc(1_000_000)]);
  t.deepEqual(await ingest(trailing, [id(large)]), { ok: false, reason: 'bytes after the end of the pack' });
  async function* late(): AsyncGenerator<Buffer> {
    yield pack;
    // git has long seen the end of the pack when this comes.
    while ([...running].some((child) => child.spawnargs.includes('index-pack'))) await new Promise(setImmediate);
    yield Buffer.from('x');
  }
  t.deepEqual(await ingest(late(), [id(large)]), { ok: false, reason: 'bytes after the end of the pack' });
});

test.serial('an object that a pushed refs/replace names is still judged by what it is', async (t) => {
  const { ingest, store, gitDir } = await setUp(t);
  await store(TEXT, ROOT, FIRST);
  await runGit(['update-ref', `refs/replace/${id(TEXT)}`, id(ROOT)], { gitDir });
  const { pack, tip } = smallPush('more');
  for (const mode of ['fast', 'git'] as const) {
    await quarantineOf(t, await ingest(pack, [tip], { limits: { mode } })).discard();
  }
});
