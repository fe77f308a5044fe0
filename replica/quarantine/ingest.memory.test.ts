import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Oid } from '@trivet/proto/object-format.ts';
import { ObjectReader, ObjectReaders } from '../git/object-reader.ts';
import { runGit, running } from '../git/process.ts';
import { Ingest, type Quarantine } from './ingest.ts';
import {
  blob, buildPack, commit, createTestRepository, delta, idOf, refDelta, streamOf, tree, whole, type TestObject,
} from './test-pack.ts';

const FORMAT = 'sha1';
const id = (object: TestObject) => idOf(object, FORMAT);

// Every round trip to a cat-file, and every other git that is started.
let asked: string[] = [];
for (const verb of ['info', 'contents'] as const) {
  const original = ObjectReader.prototype[verb] as (...args: unknown[]) => Promise<unknown>;
  Object.assign(ObjectReader.prototype, { [verb](this: ObjectReader, ...args: unknown[]) {
    asked.push(verb);
    return original.apply(this, args);
  } });
}
const add = running.add.bind(running);
running.add = (child) => {
  if (!child.spawnargs.includes('cat-file')) asked.push(child.spawnargs.find((arg) => /^[a-z]+-[a-z]+$/.test(arg))!);
  return add(child);
};

async function setUp(t: ExecutionContext, maxContentsBytes = 1 << 20) {
  const { root, gitDir, remove } = await createTestRepository(FORMAT);
  const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000, maxContentsBytes });
  t.teardown(async () => {
    await readers.closeAll();
    await remove();
  });
  const ingest = new Ingest(readers, { smallPackBytes: 1 << 20, maxPackBytes: 1 << 30, mode: 'fast' });
  let pushes = 0;
  const push = async (pack: Buffer, tips: Oid[]): Promise<Quarantine> => {
    const result = await ingest.ingest({
      gitDir, objectFormat: FORMAT, quarantineDir: join(root, `push-${pushes++}`), pack: streamOf(pack), tips,
      signal: new AbortController().signal,
    });
    if (!result.ok) throw new Error(result.reason);
    return result.quarantine;
  };
  /** What a push asks of git. */
  const asks = async (pack: Buffer, tips: Oid[] = []): Promise<string[]> => {
    asked = [];
    await (await push(pack, tips)).migrate();
    return asked;
  };
  /** Adds a pack behind everyone's back. */
  const storeOutside = (pack: Buffer) => runGit(['index-pack', '--stdin'], { gitDir, input: pack });
  return { gitDir, readers, push, asks, storeOutside };
}

/** A history in which every push is thin: it changes one of two files. */
function history(length: number): { pack: Buffer; tips: Oid[] }[] {
  const other = blob('other\n');
  const packs: { pack: Buffer; tips: Oid[] }[] = [];
  let file = blob('a line of text\n'.repeat(20));
  const rootOf = () => tree([['100644', 'a.txt', id(other)], ['100644', 'file.txt', id(file)]]);
  let root = rootOf();
  let tip = commit({ tree: id(root) });
  packs.push({ pack: buildPack([tip, root, file, other].map(whole), FORMAT), tips: [id(tip)] });
  for (let i = 1; i < length; i++) {
    const before = file;
    file = blob(`${before.body}${i}\n`);
    root = rootOf();
    tip = commit({ tree: id(root), parents: [packs.at(-1)!.tips[0]!], message: `${i}\n` });
    const change = refDelta(id(before), delta(before.body.length, before.body.length, `${i}\n`));
    packs.push({ pack: buildPack([whole(tip), whole(root), change], FORMAT), tips: [id(tip)] });
  }
  return packs;
}

test.serial('pushes that build on each other ask git for nothing at all', async (t) => {
  const { asks } = await setUp(t);
  for (const { pack, tips } of history(6)) t.deepEqual(await asks(pack, tips), []);
});

test.serial('without room for contents the bases are asked for, and nothing else', async (t) => {
  const { asks } = await setUp(t, 0);
  const [first, ...others] = history(4);
  t.deepEqual(await asks(first!.pack, first!.tips), []);
  for (const { pack, tips } of others) t.deepEqual(await asks(pack, tips), ['contents']);
});

test.serial('a push after the repository was dropped asks once for bases and once for links', async (t) => {
  const { gitDir, readers, asks } = await setUp(t);
  const [first, second, third, fourth] = history(4);
  await asks(first!.pack, first!.tips);
  await asks(second!.pack, second!.tips);
  readers.drop(gitDir);
  t.deepEqual(await asks(third!.pack, third!.tips), ['contents', 'info']);
  t.deepEqual(await asks(fourth!.pack, fourth!.tips), []);
});

test.serial('an object that is in the store goes to git, also when nothing is remembered', async (t) => {
  const { gitDir, readers, asks } = await setUp(t);
  const pack = buildPack([whole(blob('there\n'))], FORMAT);
  t.deepEqual(await asks(pack), []);
  t.deepEqual(await asks(pack), ['index-pack']);
  readers.drop(gitDir);
  t.deepEqual(await asks(pack), ['info', 'index-pack']);
});

test.serial('an object that git has taken in is found there by the next push', async (t) => {
  const { asks } = await setUp(t);
  const binary = blob(Buffer.alloc(100, 1));
  const second = blob('second\n');
  t.deepEqual(await asks(buildPack([whole(second)], FORMAT)), []);
  t.deepEqual(await asks(buildPack([whole(binary), whole(blob('x'))], FORMAT)), ['index-pack']);
  t.deepEqual(await asks(buildPack([whole(blob('x'))], FORMAT)), ['info', 'index-pack']);
  t.deepEqual(await asks(buildPack([whole(tree([['100644', 'binary', id(binary)]]))], FORMAT)), ['info']);
});

test.serial('an object that came from elsewhere is found once the store has been refreshed', async (t) => {
  const { gitDir, readers, asks, push, storeOutside } = await setUp(t);
  await asks(buildPack([whole(blob('something\n'))], FORMAT));
  const pack = buildPack([whole(blob('from elsewhere\n'))], FORMAT);
  await storeOutside(pack);
  asked = [];
  await (await push(pack, [])).discard();
  t.deepEqual(asked, [], 'the control: nobody knows of it');
  readers.refresh(gitDir);
  t.deepEqual(await asks(pack), ['info', 'index-pack']);
});

test.serial('what is migrated after the repository was dropped is known to whoever comes next', async (t) => {
  const { gitDir, readers, asks, push } = await setUp(t);
  const pack = buildPack([whole(blob('held\n'))], FORMAT);
  const held = await push(pack, []);
  readers.drop(gitDir);
  await asks(buildPack([whole(blob('another\n'))], FORMAT));
  await held.migrate();
  t.deepEqual(await asks(pack), ['index-pack']);
});

test.serial('nothing builds on a push that was not migrated', async (t) => {
  const { push, asks } = await setUp(t);
  const base = blob('a base that waits in quarantine\n');
  const held = await push(buildPack([whole(base)], FORMAT), []);
  const next = buildPack([refDelta(id(base), delta(base.body.length, base.body.length, 'and more\n'))], FORMAT);
  await t.throwsAsync(push(next, []), { message: 'the pack has deltas without a base' });
  await held.migrate();
  t.deepEqual(await asks(next), []);
});
