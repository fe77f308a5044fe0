import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { ObjectReaders } from '../git/object-reader.ts';
import { runGit } from '../git/process.ts';
import { quarantineRoot } from '../repository/layout.ts';
import { removeQuarantines } from '../repository/replicas.ts';
import { Ingest, type Quarantine } from './ingest.ts';
import { blob, buildPack, createTestRepository, idOf, streamOf, whole } from './test-pack.ts';

const FORMAT = 'sha1';
const TEXT = blob('text\n');
const OID = idOf(TEXT, FORMAT);

async function setUp(t: ExecutionContext) {
  const { gitDir, remove } = await createTestRepository(FORMAT);
  const readers = new ObjectReaders({ maxProcesses: 1, idleMs: 60_000 });
  t.teardown(async () => {
    await readers.closeAll();
    await remove();
  });
  const push = async (name: string, signal = new AbortController().signal): Promise<Quarantine> => {
    const result = await new Ingest(readers, { smallPackBytes: 1 << 20, maxPackBytes: 1 << 30, mode: 'fast' }).ingest({
      gitDir, objectFormat: FORMAT, quarantineDir: join(quarantineRoot(gitDir), name), tips: [OID], signal,
      pack: streamOf(buildPack([whole(TEXT)], FORMAT)),
    });
    if (!result.ok) throw new Error(result.reason);
    return result.quarantine;
  };
  const packs = join(gitDir, 'objects', 'pack');
  return { gitDir, push, packs, quarantined: () => readdir(quarantineRoot(gitDir)) };
}

test('makes the directory of quarantines when it is missing, and keeps it', async (t) => {
  const { gitDir, push, packs, quarantined } = await setUp(t);
  const first = await push('first');
  t.deepEqual((await quarantined()).sort(), ['first.idx', 'first.pack']);
  await first.discard();
  t.deepEqual(await quarantined(), []);
  const second = await push('second');
  await second.migrate();
  t.deepEqual(await quarantined(), []);
  await second.discard();
  t.is((await readdir(packs)).length, 2);
  t.is((await runGit(['cat-file', 'blob', OID], { gitDir })).toString(), 'text\n');
});

test('what a killed process left is removed at the start', async (t) => {
  const { gitDir, push } = await setUp(t);
  await push('left');
  await (await push('left-and-linked')).objectDirectory();
  await removeQuarantines(gitDir);
  t.false((await readdir(gitDir)).includes('quarantine'));
  await (await push('after')).migrate();
});

test('git sees the objects as an alternate until they are discarded', async (t) => {
  const { gitDir, push, quarantined } = await setUp(t);
  const quarantine = await push('seen');
  await t.throwsAsync(runGit(['cat-file', 'blob', OID], { gitDir }), { code: 'git_failed' });
  for (let round = 0; round < 2; round++) {
    const env = { GIT_ALTERNATE_OBJECT_DIRECTORIES: (await quarantine.objectDirectory())! };
    t.is((await runGit(['cat-file', 'blob', OID], { gitDir, env })).toString(), 'text\n');
  }
  await quarantine.discard();
  t.deepEqual(await quarantined(), []);
});

for (const lost of ['.pack', '.idx']) {
  test(`a migration that fails before the ${lost} is moved goes on from there`, async (t) => {
    const { gitDir, push, packs, quarantined } = await setUp(t);
    const quarantine = await push('moved');
    const file = join(quarantineRoot(gitDir), `moved${lost}`);
    await rename(file, `${file}.away`);
    await t.throwsAsync(quarantine.migrate(), { code: 'disk_failure' });
    await t.throwsAsync(runGit(['cat-file', 'blob', OID], { gitDir }), { code: 'git_failed' });
    await rename(`${file}.away`, file);
    await quarantine.migrate();
    t.deepEqual(await quarantined(), []);
    t.is((await readdir(packs)).length, 2);
    t.is((await runGit(['cat-file', 'blob', OID], { gitDir })).toString(), 'text\n');
  });
}

test('a push that cannot be written leaves nothing', async (t) => {
  const { gitDir, push, quarantined } = await setUp(t);
  await mkdir(quarantineRoot(gitDir));
  await writeFile(join(quarantineRoot(gitDir), 'other'), '');
  await t.throwsAsync(push('other/file'), { code: 'disk_failure' });
  t.deepEqual(await quarantined(), ['other']);
  await rm(join(quarantineRoot(gitDir), 'other'));
});

test('a push given up while it is written leaves nothing', async (t) => {
  const { gitDir, push, quarantined } = await setUp(t);
  await mkdir(quarantineRoot(gitDir));
  const abort = new AbortController();
  const pushed = push('aborted', abort.signal);
  while ((await quarantined()).length === 0) await new Promise(setImmediate);
  abort.abort(new Error('enough'));
  await pushed.then((quarantine) => quarantine.discard(), (error: Error) => t.is(error.message, 'enough'));
  t.deepEqual(await quarantined(), []);
});
