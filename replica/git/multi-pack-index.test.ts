import { existsSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { blob, buildPack, createTestRepository, whole } from '../quarantine/test-pack.ts';
import { dropMultiPackIndex, readMultiPackIndex, writeMultiPackIndex } from './multi-pack-index.ts';
import { runGit } from './process.ts';

test('names just the packs it was written for', async (t) => {
  const { gitDir, indexes } = await repository(t, 4);
  t.is(await readMultiPackIndex(gitDir), undefined);
  await writeMultiPackIndex(gitDir, indexes.slice(1), indexes[2]!, new AbortController().signal);
  t.deepEqual(await covered(gitDir), indexes.slice(1).sort());
  await writeMultiPackIndex(gitDir, indexes.slice(2), indexes[2]!, new AbortController().signal);
  t.deepEqual(await covered(gitDir), indexes.slice(2).sort());
});

test('one that is torn or no index at all is as good as none', async (t) => {
  const { gitDir, indexes } = await repository(t, 2);
  await writeMultiPackIndex(gitDir, indexes, indexes[0]!, new AbortController().signal);
  const path = join(gitDir, 'objects', 'pack', 'multi-pack-index');
  for (const bytes of [20, 5, 0]) {
    truncateSync(path, bytes);
    t.is(await readMultiPackIndex(gitDir), undefined, `${bytes} bytes`);
  }
});

test('taken away, nothing of it is left, nor the lock of a git that was killed', async (t) => {
  const { gitDir, indexes } = await repository(t, 2);
  await writeMultiPackIndex(gitDir, indexes, indexes[0]!, new AbortController().signal);
  writeFileSync(join(gitDir, 'objects', 'pack', 'multi-pack-index.lock'), '');
  await dropMultiPackIndex(gitDir);
  t.deepEqual(readdirSync(join(gitDir, 'objects', 'pack')).filter((name) => name.startsWith('multi-pack')), []);
  t.true(indexes.every((name) => existsSync(join(gitDir, 'objects', 'pack', name))));
});

async function covered(gitDir: string): Promise<string[]> {
  return [...(await readMultiPackIndex(gitDir))!.indexes].sort();
}

async function repository(t: ExecutionContext, packs: number) {
  const { gitDir, remove } = await createTestRepository('sha1');
  t.teardown(remove);
  const indexes: string[] = [];
  for (let i = 0; i < packs; i++) {
    const output = await runGit(['index-pack', '--stdin'], { gitDir, input: buildPack([whole(blob(`blob ${i}`))], 'sha1') });
    indexes.push(`pack-${output.toString().trim().split('\t')[1]}.idx`);
  }
  return { gitDir, indexes };
}
