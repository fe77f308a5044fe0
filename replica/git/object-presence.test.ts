import { renameSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { OBJECT_FORMATS, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { blob, buildPack, createTestRepository, idOf, whole } from '../quarantine/test-pack.ts';
import { IdPrefixSet } from './id-prefixes.ts';
import { ObjectPresence } from './object-presence.ts';
import { runGit } from './process.ts';

const MIB = 1024 * 1024;

async function setUp(t: ExecutionContext, { format = 'sha1', maxBytes = MIB }: {
  format?: ObjectFormat; maxBytes?: number;
} = {}) {
  const { gitDir, remove } = await createTestRepository(format);
  t.teardown(remove);
  const directory = join(gitDir, 'objects', 'pack');
  /** Adds a pack behind everyone's back. */
  const store = async (name: string, count = 1): Promise<{ index: string; oids: Oid[] }> => {
    const objects = Array.from({ length: count }, (_, i) => blob(`${name} ${i}`));
    const output = await runGit(['index-pack', '--stdin'], { gitDir, input: buildPack(objects.map(whole), format) });
    return { index: `pack-${output.toString().trim().split('\t')[1]}.idx`, oids: objects.map((o) => idOf(o, format)) };
  };
  const presence = new ObjectPresence(gitDir, format, maxBytes);
  const absent = Array.from({ length: 50 }, (_, i) => idOf(blob(`absent ${i}`), format));
  return { gitDir, directory, store, presence, absent };
}

/** What all answers are, or undefined when they differ. */
async function all(presence: ObjectPresence, oids: readonly Oid[]): Promise<boolean | undefined> {
  const answers = new Set(await presence.mayHave(oids));
  return answers.size === 1 ? [...answers][0] : undefined;
}

for (const format of OBJECT_FORMATS) {
  test(`tells ${format} objects of small and of large packs from those that are nowhere`, async (t) => {
    const { store, presence, absent } = await setUp(t, { format });
    const packs = [await store('a'), await store('b', 300), await store('c', 4096), await store('d', 5000)];
    t.is(await all(presence, packs.flatMap(({ oids }) => oids)), true);
    t.is(await all(presence, absent), false);
    t.true(presence.bytes > 5000 * 4 && presence.bytes < 200_000);
  });
}

test('sees a pack it is told of, by its ids or by its name, and none that it is not told of', async (t) => {
  const { store, presence } = await setUp(t);
  const asked = [await store('first')];
  t.is(await all(presence, asked[0]!.oids), true);
  for (const [name, tell] of [
    ['by ids', (index: string, oids: Oid[]) => presence.add(index, oids)],
    ['by name', (index: string) => presence.add(index)],
    ['looked for', () => presence.refresh()],
  ] as const) {
    const pack = await store(name);
    t.is(await all(presence, pack.oids), false, `${name}: the control`);
    tell(pack.index, pack.oids);
    asked.push(pack);
    t.is(await all(presence, asked.flatMap(({ oids }) => oids)), true, name);
  }
});

test('keeps what it is told while it reads', async (t) => {
  const { directory, store, presence } = await setUp(t);
  const packs = [];
  for (let i = 0; i < 10; i++) packs.push(await store(`pack ${i}`));
  const move = (index: string, from: string, to: string) => {
    for (const name of [index.replace('idx', 'pack'), index]) renameSync(join(from, name), join(to, name));
  };
  const away = join(directory, 'away');
  await mkdir(away);
  for (const { index } of packs) move(index, directory, away);
  const reading = presence.mayHave(packs[0]!.oids);
  for (const [i, { index, oids }] of packs.entries()) {
    move(index, away, directory);
    presence.add(index, i % 2 === 0 ? oids : undefined);
    await new Promise(setImmediate);
  }
  await reading;
  t.is(await all(presence, packs.flatMap(({ oids }) => oids)), true);
});

test('forgets packs that have gone when it looks again', async (t) => {
  const { directory, store, presence } = await setUp(t);
  const [kept, gone] = [await store('kept'), await store('gone', 5000)];
  t.is(await all(presence, gone.oids), true);
  const before = presence.bytes;
  for (const suffix of ['idx', 'pack']) await rm(join(directory, gone.index.replace('idx', suffix)));
  presence.refresh();
  t.is(await all(presence, gone.oids), false);
  t.is(await all(presence, kept.oids), true);
  t.true(presence.bytes < before);
});

test('takes no notice of an index without its pack, as git does', async (t) => {
  const { directory, store, presence } = await setUp(t);
  const { index, oids } = await store('half');
  await rm(join(directory, index.replace('idx', 'pack')));
  t.is(await all(presence, oids), false);
});

test('looks again when a pack it was told of is not there', async (t) => {
  const { store, presence, absent } = await setUp(t);
  t.is(await all(presence, absent), false);
  const { oids } = await store('not told of');
  presence.add('pack-that-never-came.idx');
  t.is(await all(presence, absent), false);
  t.is(await all(presence, oids), true);
});

for (const [name, change] of Object.entries({
  'loose objects': (gitDir: string) => runGit(['hash-object', '-w', '--stdin'], { gitDir, input: 'loose' }),
  'alternates': (gitDir: string) => writeFile(join(gitDir, 'objects', 'info', 'alternates'), '/nowhere\n'),
  'an index of an unknown form': async (gitDir: string) => {
    const pack = join(gitDir, 'objects', 'pack', 'pack-x');
    for (const suffix of ['pack', 'idx']) await writeFile(`${pack}.${suffix}`, 'x'.repeat(2000));
  },
})) {
  test(`is sure of nothing when there are ${name}`, async (t) => {
    const { gitDir, store, presence, absent } = await setUp(t);
    await store('something');
    await mkdir(join(gitDir, 'objects', 'info'), { recursive: true });
    t.is(await all(presence, absent), false, 'the control');
    await change(gitDir);
    presence.refresh();
    t.is(await all(presence, absent), true);
  });
}

test('is sure of nothing when there are more objects than fit into its memory', async (t) => {
  const { store, presence, absent, directory } = await setUp(t, { maxBytes: 10_000 });
  const { index } = await store('small', 100);
  t.is(await all(presence, absent), false);
  presence.add('pack-many.idx', Array.from({ length: 2000 }, (_, i) => idOf(blob(`many ${i}`), 'sha1')));
  t.is(await all(presence, absent), true);
  presence.refresh();
  t.is(await all(presence, absent), false);
  await store('large', 5000);
  presence.refresh();
  t.is(await all(presence, absent), true);
  t.true(presence.bytes < 10_000);
  t.true((await readdir(directory)).includes(index));
});

test('reads the indexes again after its memory was taken', async (t) => {
  const { store, presence, absent } = await setUp(t);
  const { oids } = await store('something', 5000);
  t.is(await all(presence, oids), true);
  presence.unload();
  t.is(presence.bytes, 0);
  t.is(await all(presence, oids), true);
  t.is(await all(presence, absent), false);
});

test('a set of prefixes never denies one that was added', (t) => {
  const prefixes = new IdPrefixSet();
  const added = Array.from({ length: 10_000 }, (_, i) => i * 429_496);
  for (const prefix of added) prefixes.add(prefix);
  t.true(added.every((prefix) => prefixes.has(prefix)));
  t.false(prefixes.has(429_495));
  t.true(prefixes.bytes <= 16 * 10_000 * 2);
});

test('packs that others have taken the place of are missed no more, and all others are, whatever is read meanwhile', async (t) => {
  const { directory, store, presence } = await setUp(t);
  const [first, second, third] = [await store('a'), await store('b'), await store('c')];
  t.is(await all(presence, first.oids), true);
  t.deepEqual([...presence.indexes].sort(), [first.index, second.index, third.index].sort());
  const reading = (presence.refresh(), presence.mayHave(second.oids));
  for (const file of [first.index, first.index.replace('.idx', '.pack')]) await rm(join(directory, file), { force: true });
  presence.replaced([first.index], [third.index]);
  await reading;
  await presence.mayHave(second.oids);
  t.deepEqual([...presence.indexes].sort(), [second.index, third.index].sort());
  for (const file of [second.index, second.index.replace('.idx', '.pack')]) await rm(join(directory, file), { force: true });
  presence.refresh();
  t.is(await all(presence, third.oids), true);
  t.true(presence.indexes.has(second.index), 'gone by hand: still missed');
});
