import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import test, { type ExecutionContext } from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { OBJECT_FORMATS, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { createTestRepository } from '../quarantine/test-pack.ts';
import { ContentsTooLargeError } from './contents-too-large.ts';
import { KnownObjects } from './known-objects.ts';
import { ObjectReader, ObjectReaders } from './object-reader.ts';
import { runGit, running } from './process.ts';

async function setUp(t: ExecutionContext, format: ObjectFormat = 'sha1') {
  const { root, gitDir, remove } = await createTestRepository(format);
  t.teardown(remove);
  const store = async (body: Buffer | string): Promise<Oid> =>
    (await runGit(['hash-object', '-w', '--stdin'], { gitDir, input: body })).toString().trim();
  return { root, gitDir, store };
}

/** The cat-file processes that serve a repository. */
function readersOf(gitDir: string) {
  return [...running].filter((child) => child.spawnargs.includes('cat-file') && cwdOf.get(child) === gitDir);
}

const cwdOf = new WeakMap<object, string>();
const add = running.add.bind(running);
let starting = '';
running.add = (child) => {
  cwdOf.set(child, starting);
  return add(child);
};

for (const format of OBJECT_FORMATS) {
  test.serial(`tells ${format} objects and missing ones apart, in the order asked`, async (t) => {
    const { gitDir, store } = await setUp(t, format);
    const reader = new ObjectReader(gitDir, format);
    const likeAnAnswer = Buffer.from('abc blob 3\nxyz missing\n');
    const bodies = [Buffer.from('text\n'), Buffer.alloc(0), randomBytes(300_000), likeAnAnswer];
    const oids: Oid[] = [];
    for (const body of bodies) oids.push(await store(body));
    const absent = 'ab'.repeat(oids[0]!.length / 2);
    const asked = [absent, ...oids, absent, ...oids.toReversed()];
    const expected = [undefined, ...bodies, undefined, ...bodies.toReversed()];
    const answers = [reader.info(asked), reader.contents(asked), reader.info([])];
    const [info, contents, none] = await Promise.all(answers);
    t.deepEqual(info, expected.map((body) => body && { type: 'blob', size: body.length }));
    t.deepEqual(contents, expected.map((body) => body && { type: 'blob', body }));
    t.deepEqual(none, []);
    await reader.shutDown();
  });
}

test.serial('sees an object that came after the process was started', async (t) => {
  const { gitDir, store } = await setUp(t);
  const reader = new ObjectReader(gitDir, 'sha1');
  await reader.info(['ab'.repeat(20)]);
  const oid = await store('late\n');
  t.deepEqual(await reader.info([oid]), [{ type: 'blob', size: 5 }]);
  await reader.shutDown();
});

test.serial('asks once more when the process dies over a question, and starts lazily after a close', async (t) => {
  const { gitDir, store } = await setUp(t);
  const oid = await store('x');
  const reader = new ObjectReader(gitDir, 'sha1');
  starting = gitDir;
  await reader.info([oid]);
  for (let round = 0; round < 3; round++) {
    const [child] = readersOf(gitDir);
    const answer = reader.info([oid]);
    child!.kill('SIGKILL');
    t.deepEqual(await answer, [{ type: 'blob', size: 1 }]);
  }
  reader.close();
  reader.close();
  t.deepEqual(await reader.info([oid]), [{ type: 'blob', size: 1 }]);
  await reader.shutDown();
  t.deepEqual(readersOf(gitDir), []);
  await t.throwsAsync(reader.info([oid]), { code: 'shutting_down' });
});

test.serial('gives up with git_failed when the second process dies too', async (t) => {
  const { root, gitDir } = await setUp(t);
  const reader = new ObjectReader(gitDir, 'sha1');
  await rename(gitDir, join(root, 'away'));
  const error = await t.throwsAsync(reader.info(['ab'.repeat(20)]), { instanceOf: TrivetError });
  t.is((error as TrivetError).code, 'git_failed');
  await reader.shutDown();
});

test.serial('takes no more contents into memory than it was told, and goes on with other questions', async (t) => {
  const { gitDir, store } = await setUp(t);
  const [large, small] = [await store(randomBytes(500_000)), await store('small')];
  const reader = new ObjectReader(gitDir, 'sha1');
  const questions = [reader.contents([large, large], 600_000), reader.contents([small])] as const;
  const [tooMuch, other] = await Promise.allSettled(questions);
  t.true(tooMuch.status === 'rejected' && tooMuch.reason instanceof ContentsTooLargeError);
  t.like(other, { status: 'fulfilled', value: [{ body: Buffer.from('small') }] });
  await reader.shutDown();
});

test.serial('lets nothing but ids into the command line', async (t) => {
  const { gitDir } = await setUp(t);
  const reader = new ObjectReader(gitDir, 'sha1');
  for (const text of ['HEAD', `${'ab'.repeat(20)}\ninfo HEAD`, 'ab'.repeat(32), '']) {
    await t.throwsAsync(reader.info([text]), { instanceOf: RangeError });
  }
});

test.serial('the pool keeps the processes that were used last, and shutting down ends them all', async (t) => {
  const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000 });
  const places = [await setUp(t), await setUp(t), await setUp(t)];
  for (const { gitDir } of places) {
    starting = gitDir;
    await readers.get(gitDir, 'sha1').info(['ab'.repeat(20)]);
  }
  // The first one's process ends; were it kept, this would wait for ever.
  while (readersOf(places[0]!.gitDir).length > 0) await new Promise(setImmediate);
  t.deepEqual(places.map(({ gitDir }) => readersOf(gitDir).length), [0, 1, 1]);
  await readers.closeAll();
  t.deepEqual(places.map(({ gitDir }) => readersOf(gitDir).length), [0, 0, 0]);
});

test.serial('dropping a repository forgets what was known of it', async (t) => {
  const { gitDir } = await setUp(t);
  const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000 });
  const reader = readers.get(gitDir, 'sha1');
  const before = readers.store(gitDir, 'sha1');
  before.known.add('ab'.repeat(20), 'blob');
  readers.drop(gitDir);
  t.is(before.known.typeOf('ab'.repeat(20)), undefined);
  t.not(readers.store(gitDir, 'sha1'), before);
  t.not(readers.get(gitDir, 'sha1'), reader);
  await readers.closeAll();
});

test.serial('the store that was used last keeps its memory, the others give theirs back', async (t) => {
  const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000, maxStoreBytes: 3000 });
  const places = [await setUp(t), await setUp(t), await setUp(t)];
  const stores = places.map(({ gitDir }) => readers.store(gitDir, 'sha1'));
  for (const [i, store] of stores.entries()) {
    await store.types(['ab'.repeat(20)]);
    store.known.add('ab'.repeat(20), 'blob');
    t.is(readers.store(places[i]!.gitDir, 'sha1'), store);
  }
  t.deepEqual(stores.map((store) => store.bytes > 0), [false, true, true]);
  t.deepEqual(stores.map((store) => store.known.typeOf('ab'.repeat(20))), [undefined, 'blob', 'blob']);
  await readers.closeAll();
  t.deepEqual(stores.map((store) => store.bytes), [0, 0, 0]);
});

test.serial('an idle process ends by itself', async (t) => {
  const { gitDir } = await setUp(t);
  const reader = new ObjectReader(gitDir, 'sha1', 1);
  starting = gitDir;
  await reader.info(['ab'.repeat(20)]);
  // Its timer does not keep the event loop alive; this one does.
  while (readersOf(gitDir).length > 0) await new Promise(setImmediate);
  t.pass();
});

test('the least recently used known object is forgotten first', (t) => {
  const known = new KnownObjects();
  known.add('first', 'blob');
  known.add('second', 'tree');
  for (let i = 0; i < 8191; i++) {
    known.typeOf('first');
    known.add(`other ${i}`, 'blob');
  }
  t.is(known.typeOf('first'), 'blob');
  t.is(known.typeOf('second'), undefined);
});
