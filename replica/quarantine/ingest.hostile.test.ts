import { closeSync, existsSync, openSync } from 'node:fs';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import test from 'ava';
import { OBJECT_FORMATS } from '@trivet/proto/object-format.ts';
import { ObjectReaders } from '../git/object-reader.ts';
import { runGit, running } from '../git/process.ts';
import { packCases, storedObjects, type PackCase } from './hostile-packs.ts';
import { quarantineEnvironment, typesWithQuarantine } from './index-pack.ts';
import { Ingest, type IngestLimits } from './ingest.ts';
import { buildPack, createTestRepository, streamOf, whole } from './test-pack.ts';

// Every git process that this file starts through the code under test, by its arguments.
const started: string[][] = [];
const add = running.add.bind(running);
running.add = (child) => {
  started.push(child.spawnargs);
  return add(child);
};

for (const format of OBJECT_FORMATS) {
  test.serial(`judges every ${format} pack as git does, both ways, and leaves nothing behind`, async (t) => {
    const { root, gitDir, remove } = await createTestRepository(format);
    t.teardown(remove);
    const stored = buildPack(storedObjects(format).list.map(whole), format);
    t.true(await plainGitAccepts(root, gitDir, { pack: stored, tips: [] }, true));
    const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000 });
    const signal = new AbortController().signal;

    const surprises: string[] = [];
    const expect = (isSo: boolean, surprise: string) => { if (!isSo) surprises.push(surprise); };
    for (const packCase of packCases(format)) {
      const { name, pack, tips, accepted, by } = packCase;
      expect(await plainGitAccepts(root, gitDir, packCase, false) === accepted, `plain git: ${name}`);
      for (const mode of ['fast', 'git'] as const) {
        // What is known from other cases must not change a verdict either; half of the cases meet a cold memory.
        if (name.length % 2 === 0) readers.drop(gitDir);
        const limits: IngestLimits = { smallPackBytes: 1 << 20, maxPackBytes: 1 << 30, mode };
        const quarantineDir = join(root, 'quarantine');
        started.length = 0;
        const result = await new Ingest(readers, limits).ingest({
          gitDir, objectFormat: format, quarantineDir, pack: streamOf(pack, 100_000), tips, signal,
        });
        const askedGit = started.some((args) => args.includes('index-pack'));
        expect(result.ok === accepted, `${mode}: ${name}: ${result.ok ? 'accepted' : result.reason}`);
        expect(askedGit === (mode === 'git' || by === 'git'), `${mode}: ${name}: ${askedGit ? '' : 'not '}by git`);
        if (result.ok) {
          expect(tips.every((oid) => result.quarantine.typeOf(oid) !== undefined), `${mode}: ${name}: no type`);
          // What was written is a pack by git's own reading, and the index is the one that git would make.
          if (existsSync(`${quarantineDir}.idx`)) await runGit(['verify-pack', `${quarantineDir}.idx`], { gitDir });
          expect(existsSync(`${quarantineDir}.idx`) === (!askedGit && result.quarantine.objects > 0), `${name}: index`);
          await result.quarantine.discard();
        } else {
          const isPresentable = /^[\x20-\x7e]{1,120}$/.test(result.reason) && !result.reason.includes(root);
          expect(isPresentable, `${name}: ${result.reason}`);
        }
        const left = (await readdir(root)).filter((file) => file.startsWith('quarantine'));
        expect(left.length === 0, `${mode}: ${name}: quarantine left`);
      }
    }
    t.deepEqual(surprises, []);
    t.is((await readdir(join(gitDir, 'objects', 'pack'))).filter((file) => file.endsWith('.pack')).length, 1);
    await readers.closeAll();
    t.is(running.size, 0);
  });
}

/**
 * What `git index-pack --strict` itself says, and whether the tips are there then. It reads from a file: only there
 * does it look for bytes after the end.
 */
async function plainGitAccepts(
  root: string, gitDir: string, { pack, tips }: Pick<PackCase, 'pack' | 'tips'>, keep: boolean,
): Promise<boolean> {
  const directory = keep ? join(gitDir, 'objects') : join(root, 'plain');
  await mkdir(join(directory, 'pack'), { recursive: true });
  const input = join(root, 'input.pack');
  await writeFile(input, pack);
  const fd = openSync(input, 'r');
  const env = { PATH: process.env['PATH'], GIT_DIR: gitDir, ...quarantineEnvironment(gitDir, directory) };
  const args = ['index-pack', '--stdin', '--fix-thin', '--strict'];
  const child = spawn('git', args, { cwd: gitDir, env, stdio: [fd, 'ignore', 'ignore'] });
  const code = await new Promise<number | null>((resolve) => { child.once('close', resolve); });
  closeSync(fd);
  const types = await typesWithQuarantine(gitDir, directory, tips, new AbortController().signal);
  if (!keep) await rm(directory, { recursive: true });
  return code === 0 && !types.includes(undefined);
}
