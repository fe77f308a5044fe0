import test from 'ava';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OBJECT_FORMATS } from '@trivet/proto/object-format.ts';
import { emptyRepository, exampleRepository, git, gitSync, temporaryDirectory } from './fixture.ts';
import { createBareRepository, REPOSITORY_CONFIG } from './repository-config.ts';

for (const format of OBJECT_FORMATS) {
  test(`a ${format} repository made by us is one that git accepts and fills`, async (t) => {
    const gitDir = await exampleRepository(t, format);
    await git(['fsck', '--strict'], { cwd: gitDir });
    t.is(await git(['rev-parse', '--show-object-format', '--is-bare-repository'], { cwd: gitDir }), `${format}\ntrue`);
    t.is(await git(['symbolic-ref', 'HEAD'], { cwd: gitDir }), 'refs/heads/main');
  });

  test(`git init finds nothing to do in a ${format} repository made by us`, async (t) => {
    const gitDir = await emptyRepository(t, format);
    const before = readFileSync(join(gitDir, 'config'), 'utf8');
    await git(['init', '--quiet', '--bare', '--template=', gitDir]);
    t.is(readFileSync(join(gitDir, 'config'), 'utf8'), before);
  });
}

test('git reads every value of the configuration as it is meant', async (t) => {
  const gitDir = await emptyRepository(t);
  for (const [key, value] of REPOSITORY_CONFIG) {
    t.is(await git(['config', '--file', join(gitDir, 'config'), '--get-all', key], { cwd: gitDir }), value, key);
  }
});

test('an existing repository is never replaced', async (t) => {
  const gitDir = await exampleRepository(t);
  const before = await git(['for-each-ref'], { cwd: gitDir });
  await t.throwsAsync(createBareRepository(gitDir, 'sha1', 'refs/heads/other'), { code: 'repository_exists' });
  t.is(await git(['for-each-ref'], { cwd: gitDir }), before);
  t.is(await git(['symbolic-ref', 'HEAD'], { cwd: gitDir }), 'refs/heads/main');
  t.deepEqual(readdirSync(dirname(gitDir)), ['repository.git']);
});

test('of two that make the same repository at once, one succeeds', async (t) => {
  const gitDir = join(temporaryDirectory(t), 'r.git');
  const made = await Promise.allSettled([1, 2, 3].map(() => createBareRepository(gitDir, 'sha1', 'refs/heads/main')));
  t.is(made.filter(({ status }) => status === 'fulfilled').length, 1);
  t.deepEqual(readdirSync(dirname(gitDir)), ['r.git']);
});

test('nothing is left when a repository can not be made', async (t) => {
  const directory = temporaryDirectory(t);
  writeFileSync(join(directory, 'file'), '');
  await t.throwsAsync(createBareRepository(join(directory, 'file'), 'sha1', 'refs/heads/main'),
    { code: 'repository_exists' });
  await t.throwsAsync(createBareRepository(join(directory, 'no/r.git'), 'sha1', 'refs/heads/main'), { code: 'ENOENT' });
  t.deepEqual(readdirSync(directory), ['file']);
});

test('HEAD must be able to be a ref', async (t) => {
  const directory = temporaryDirectory(t);
  for (const head of ['main', 'refs/heads/a..b', 'refs/heads/a\nb', '']) {
    await t.throwsAsync(createBareRepository(join(directory, 'r.git'), 'sha1', head), { code: 'bad_request' });
  }
  t.deepEqual(readdirSync(directory), []);
});

test('a pack that is taken in gets a reverse index beside it', async (t) => {
  const gitDir = await emptyRepository(t);
  const emptyPack = Buffer.from('5041434b0000000200000000029d08823bd8a8eab510ad6ac75c823cfd3ed31e', 'hex');
  gitSync(['index-pack', '--stdin'], gitDir, emptyPack);
  t.true(readdirSync(join(gitDir, 'objects/pack')).some((name) => name.endsWith('.rev')));
});
