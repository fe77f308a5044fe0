import { spawnSync } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import fc from 'fast-check';
import { OBJECT_FORMATS, zeroOid } from '@trivet/proto/object-format.ts';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { ObjectReaders } from '../git/object-reader.ts';
import { runGit } from '../git/process.ts';
import { Ingest } from './ingest.ts';
import { createTestRepository, streamOf } from './test-pack.ts';

const path = fc.constantFrom('a', 'b.txt', 'dir/a', 'dir/c', 'dir.txt', 'dir/deep/x', 'é/ü', '.gitattributes');
const change = fc.record({ path, lines: fc.integer({ min: 0, max: 60 }), salt: fc.integer({ min: 0, max: 9 }) });
const history = fc.array(fc.array(change, { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 5 });

const IDENT = {
  GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.com',
  GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.com',
};

for (const format of OBJECT_FORMATS) {
  test(`random ${format} histories give the same sound repository as git receive-pack`, async (t) => {
    await fc.assert(fc.asyncProperty(history, async (pushes) => {
      const client = await createTestRepository(format);
      const ours = await createTestRepository(format);
      const twin = await createTestRepository(format);
      const readers = new ObjectReaders({ maxProcesses: 2, idleMs: 60_000 });
      const ingest = new Ingest(readers, { smallPackBytes: 1 << 20, maxPackBytes: 1 << 30, mode: 'fast' });
      try {
        const work = join(client.root, 'work');
        await mkdir(work);
        const env = { ...IDENT, GIT_WORK_TREE: work, GIT_INDEX_FILE: join(client.root, 'index') };
        const git = (...args: string[]) => runGit(args, { gitDir: client.gitDir, env });
        let old = zeroOid(format);
        for (const changes of pushes) {
          for (const { path: name, lines, salt } of changes) {
            await mkdir(join(work, dirname(name)), { recursive: true });
            const text = Array.from({ length: lines }, (_, i) => `line ${i} ${i === 7 ? salt : ''}\n`);
            await writeFile(join(work, name), text.join(''));
          }
          await git('-C', work, 'add', '-A');
          await git('-C', work, 'commit', '--quiet', '--allow-empty', '-m', 'change');
          const tip = (await git('rev-parse', 'HEAD')).toString().trim();
          const pack = await runGit(['pack-objects', '--revs', '--stdout', '--thin', '--delta-base-offset', '-q'], {
            gitDir: client.gitDir, input: /^0+$/.test(old) ? `${tip}\n` : `${tip}\n^${old}\n`,
          });

          const result = await ingest.ingest({
            gitDir: ours.gitDir, objectFormat: format, quarantineDir: join(ours.root, 'quarantine'),
            pack: streamOf(pack), tips: [tip], signal: new AbortController().signal,
          });
          if (!result.ok) throw new Error(result.reason);
          await result.quarantine.migrate();
          await runGit(['update-ref', 'refs/heads/main', tip], { gitDir: ours.gitDir });

          const command = `${old} ${tip} refs/heads/main\0report-status object-format=${format}`;
          const { status } = spawnSync('git', ['receive-pack', '--stateless-rpc', twin.gitDir], {
            input: Buffer.concat([encodePacket(command), FLUSH, pack]),
          });
          if (status !== 0) throw new Error('git receive-pack failed');
          old = tip;
        }
        await runGit(['fsck', '--strict', '--full'], { gitDir: ours.gitDir });
        t.deepEqual(await objectsOf(ours.gitDir), await objectsOf(twin.gitDir));
      } finally {
        await readers.closeAll();
        for (const { remove } of [client, ours, twin]) await remove();
      }
    }), { numRuns: 6 });
  });
}

/** Id, type and size of every object in a repository. */
async function objectsOf(gitDir: string): Promise<string[]> {
  const list = await runGit(['cat-file', '--batch-all-objects', '--batch-check'], { gitDir });
  return list.toString().split('\n');
}
