import { chmod, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { Random } from '../../bench/repositories/random.ts';
import { expectReplicasEqualTo, feedGit, makePack, useCluster } from './fixture.ts';
import { push, pushBody } from './wire.ts';

const scenario = useCluster();
const MIB = 1024 * 1024;
const ZERO = '0'.repeat(40);

scenario('annotated tags, tags of tags, of trees and of blobs arrive, and are peeled in listings', async (t, { work, url, cluster, repository }) => {
  const tip = await work.commit('first');
  await work.git('tag', '-a', '-m', 'one', 'one');
  await work.git('tag', '-a', '-m', 'two', 'two', 'one');
  await work.git('tag', '-a', '-m', 'three', 'three', 'two');
  await work.git('tag', '-a', '-m', 'tree', 'of-tree', 'HEAD^{tree}');
  await work.git('tag', '-a', '-m', 'blob', 'of-blob', 'HEAD:first');
  await work.git('tag', 'light-tree', 'HEAD^{tree}');
  await work.git('push', '-q', url, '--tags', 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  for (const version of [0, 2]) {
    const listed = await work.git('-c', `protocol.version=${version}`, 'ls-remote', url, 'refs/tags/three*');
    t.is(listed.split('\n')[1], `${tip}\trefs/tags/three^{}`);
  }
});

scenario('a branch can only point at a commit object, a tag at anything', async (t, { work, url }) => {
  await work.commit('first');
  await work.git('tag', '-a', '-m', 'one', 'one');
  for (const object of ['HEAD^{tree}', 'HEAD:first', 'one']) {
    const result = await runGit(work.path, ['push', url, `${await work.git('rev-parse', object)}:refs/heads/x`]);
    t.is(result.code, 1, object);
  }
  t.is(await work.git('ls-remote', url), '');
});

scenario('a submodule\'s commit object need not be there', async (t, { work, clone, cluster, repository, url }) => {
  await work.commit('first', { '.gitmodules': '[submodule "sub"]\n\tpath = sub\n\turl = ../sub.git\n' });
  await work.git('update-index', '--add', '--cacheinfo', `160000,${'ab'.repeat(20)},sub`);
  await work.git('commit', '-q', '-m', 'with a submodule');
  await work.git('push', '-q', url, 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  const copy = await clone();
  t.is(await copy.git('ls-tree', 'HEAD', 'sub'), `160000 commit ${'ab'.repeat(20)}\tsub`);
});

scenario('real submodules are cloned along', async (t, { work, cluster, directory, url }) => {
  await cluster.create('part');
  const part = await cluster.workTree('part');
  await part.commit('in the part', { 'part.txt': 'part\n' });
  await part.git('push', '-q', cluster.gitUrl('part'), 'main');
  await work.commit('first');
  await work.git('submodule', '--quiet', 'add', cluster.gitUrl('part'), 'part');
  await work.git('commit', '-q', '-m', 'add the part');
  await work.git('push', '-q', 'origin', 'main');
  const path = await directory();
  const cloned = await runGit(path, ['clone', '-q', '--recurse-submodules', url, '.']);
  t.is(cloned.code, 0, cloned.stderr);
  t.is(await readFile(join(path, 'part', 'part.txt'), 'utf8'), 'part\n');
});

scenario('empty commits, merges, octopus merges, unrelated roots and renames arrive', async (t, { work, cluster, repository, url }) => {
  await work.commit('first', { 'a.txt': 'a\n'.repeat(50) });
  await work.git('commit', '-q', '--allow-empty', '-m', 'empty');
  await work.git('commit', '-q', '--allow-empty', '--allow-empty-message', '-m', '');
  for (const branch of ['one', 'two', 'three']) {
    await work.git('checkout', '-q', '-b', branch, 'main');
    await work.commit(branch);
  }
  await work.git('checkout', '-q', 'main');
  await work.git('merge', '-q', '--no-ff', '-m', 'merge', 'one');
  await work.git('merge', '-q', '-m', 'octopus', 'two', 'three');
  await work.git('mv', 'a.txt', 'renamed.txt');
  await work.git('commit', '-q', '-m', 'renamed');
  await work.git('checkout', '-q', '--orphan', 'root');
  await work.git('rm', '-rfq', '.');
  await work.git('commit', '-q', '--allow-empty', '-m', 'an empty tree');
  await work.git('push', '-q', url, '--all');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
});

scenario('a push larger than the in-process limit, one file larger than the limit, and a small one in between arrive alike', async (t, { work, cluster, repository, url }) => {
  const random = new Random('content');
  await writeFile(join(work.path, 'large.bin'), random.bytes(3 * MIB));
  await work.commit('large', { 'text.txt': 'text\n' });
  await work.git('push', '-q', url, 'main');
  await work.commit('small', { 'text.txt': 'another text\n' });
  await work.git('push', '-q', url, 'main');
  for (let i = 0; i < 20; i++) await writeFile(join(work.path, `${i}.bin`), random.bytes(100_000));
  await work.commit('many', { 'text.txt': 'yet another text\n' });
  await work.git('push', '-q', url, 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  const sizes = await Promise.all((await cluster.show(repository)).replicas.map(async ({ node }) => (
    (await runGit(await cluster.replicaDirectory(repository, node), ['count-objects', '-v'])).stdout.match(/^(in-pack|count): \d+$/gm))));
  t.deepEqual(sizes, Array.from({ length: 3 }, () => sizes[0]!));
});

scenario('a file larger than the limit above which git streams arrives', async (t, { work, cluster, repository, url, clone }) => {
  await writeFile(join(work.path, 'huge.bin'), new Random('huge').bytes(18 * MIB));
  await work.commit('huge');
  await work.git('-c', 'core.compression=0', 'push', '-q', url, 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  const copy = await clone();
  t.true((await readFile(join(copy.path, 'huge.bin'))).equals(await readFile(join(work.path, 'huge.bin'))));
});

scenario('symbolic links, executables and odd file names arrive as they are', async (t, { work, clone }) => {
  await symlink('where/ever', join(work.path, 'link'));
  await writeFile(join(work.path, 'run.sh'), '#!/bin/sh\n');
  await chmod(join(work.path, 'run.sh'), 0o755);
  const names = ['ümläut', 'two words', 'tab\tand "quotes"', '-dash', 'ünï/cødé/深い.txt', 'a'.repeat(200), '#hash%41', '.hidden'];
  await work.commit('files', Object.fromEntries(names.map((name) => [name, name])));
  await writeFile(Buffer.concat([Buffer.from(`${work.path}/latin1-`), Buffer.from([0xe9])]), 'not UTF-8');
  await work.commit('a name that is not UTF-8');
  await work.git('push', '-q', 'origin', 'main');
  const copy = await clone();
  t.is(await copy.git('ls-tree', '-r', '-z', 'HEAD'), await work.git('ls-tree', '-r', '-z', 'HEAD'));
  t.regex(await copy.git('ls-tree', 'HEAD', 'link'), /^120000/);
  t.regex(await copy.git('ls-tree', 'HEAD', 'run.sh'), /^100755/);
  t.is(await copy.git('status', '--porcelain'), '');
});

scenario('commit messages in other encodings, with NULs refused as git refuses them, and signatures arrive', async (t, { work, url, cluster, repository }) => {
  const tree = await work.commit('first').then(() => work.git('rev-parse', 'HEAD^{tree}'));
  const person = 'A <a@example.org> 1600000000 +0000';
  const commits = [
    Buffer.concat([Buffer.from(`tree ${tree}\nauthor ${person}\ncommitter ${person}\nencoding ISO-8859-1\n\ncaf`), Buffer.from([0xe9, 0x0a])]),
    Buffer.from(`tree ${tree}\nauthor ${person}\ncommitter ${person}\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\n\nsigned\n`),
    Buffer.from(`tree ${tree}\nauthor ${person}\ncommitter ${person}\nx-unknown-header: value\n\nwith another header\n`),
    Buffer.from(`tree ${tree}\nauthor ${person}\ncommitter ${person}\n\n`),
  ];
  for (const [i, commit] of commits.entries()) {
    const written = await feedGit(work.path, ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'], commit);
    await work.git('push', '-q', url, `${written.stdout.trim()}:refs/heads/c${i}`);
    await work.git('update-ref', `refs/heads/c${i}`, written.stdout.trim());
  }
  await work.git('push', '-q', url, 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  const withNul = await feedGit(work.path, ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'],
    Buffer.from(`tree ${tree}\nauthor ${person}\0\ncommitter ${person}\n\nx\n`));
  t.is((await work.tryGit('push', url, `${withNul.stdout.trim()}:refs/heads/nul`)).code, 1);
});

const ODD_REFS = ['ümläut', '深い/森', '#1', '50%', '50%25', 'a+b', '@', 'user@host', 'a=b', 'a,b;c', '!bang', '$HOME', "it's", 'a"b', '(paren)', '{brace}', 'a&b',
  '-dash', 'x.y', 'a|b', '<tag>', 'HEAD', 'main', 'x'.repeat(200), 'deep/'.repeat(30) + 'end', 'emoji-🎉', 'refs/heads/twice'];

scenario('refs with any name that git allows are pushed, listed, fetched and deleted', async (t, { work, url, cluster, repository, clone }) => {
  const tip = await work.commit('first');
  const refs = ODD_REFS.flatMap((name) => [`refs/heads/${name}`, `refs/tags/${name}`, `refs/odd/${name}`]).sort();
  for (const ref of refs) t.is((await work.tryGit('check-ref-format', ref)).code, 0, ref);
  await work.git('push', '-q', url, ...refs.map((ref) => `${tip}:${ref}`));
  t.is(await work.git('-c', 'core.quotePath=false', 'ls-remote', '--refs', url), [...refs].sort(byBytes).map((ref) => `${tip}\t${ref}`).join('\n'));
  const copy = await clone('--mirror');
  await expectReplicasEqualTo(t, cluster, repository, copy.path);
  await work.git('push', '-q', url, ...refs.filter((ref) => ref !== 'refs/heads/main').map((ref) => `:${ref}`));
  t.is(await work.git('ls-remote', '--refs', url), `${tip}\trefs/heads/main`);
});

scenario('names that git does not allow are refused one by one, and the rest of the push goes on', async (t, { work, url }) => {
  const tip = await work.commit('first');
  await work.git('push', '-q', url, 'main');
  const names = ['refs/heads/a..b', 'refs/heads/.a', 'refs/heads/a.lock', 'refs/heads/a.lock/b', 'refs/heads/a b', 'refs/heads/a~1', 'refs/heads/a^', 'refs/heads/a:b',
    'refs/heads/a?', 'refs/heads/a*', 'refs/heads/[a', 'refs/heads/a\\b', 'refs/heads/a@{1}', 'refs/heads/a/', 'refs/heads//a', 'refs/heads/a.', 'refs/heads/\u0001',
    'HEAD', 'config', 'objects/x', '../x', 'refs/../x', 'refs/heads/../../x', 'refs/', 'refs/heads', 'refs/onelevel', 'refs/heads/'];
  const answer = await push(url, pushBody([...names, 'refs/heads/fine'].map((name) => `${ZERO} ${tip} ${name}`), 'report-status', await makePack(work, [])));
  const report = answer.body.toString();
  for (const name of names) t.true(report.includes(`ng ${name} funny refname`), `${JSON.stringify(name)}: ${report}`);
  t.true(report.includes('ok refs/heads/fine\n'));
  t.is(await work.git('ls-remote', '--refs', url), `${tip}\trefs/heads/fine\n${tip}\trefs/heads/main`);
});

scenario('no ref can take the place of all branches, not even in an empty repository', async (t, { work, url, cluster, repository }) => {
  await work.commit('first');
  for (const ref of ['refs/heads', 'refs/tags', 'refs/stash']) {
    const refused = await work.tryGit('push', url, `main:${ref}`);
    t.regex(refused.stderr, /\[remote rejected\] main -> refs\/\w+ \(funny refname\)/);
  }
  t.is((await cluster.show(repository)).generation, 0);
  t.is((await work.tryGit('push', url, 'main', 'main:refs/tags/v1')).code, 0);
});

scenario('a ref name that is not UTF-8 is refused, and nothing changes', async (t, { work, url, cluster, repository }) => {
  const tip = await work.commit('first');
  const command = Buffer.concat([Buffer.from(`${ZERO} ${tip} refs/heads/caf`), Buffer.from([0xe9]), Buffer.from('\0 report-status')]);
  const body = Buffer.concat([Buffer.from((command.length + 4).toString(16).padStart(4, '0')), command, Buffer.from('0000'), await makePack(work, ['main'])]);
  const answer = await push(url, body);
  t.false(answer.body.includes('ok refs/heads/'));
  t.is((await cluster.show(repository)).generation, 0);
});

scenario('a ref whose name is a directory of another is refused with the name of the other', async (t, { work, url }) => {
  await work.commit('first');
  await work.git('push', '-q', url, 'main', 'main:a/b');
  for (const [name, other] of [['a', 'refs/heads/a/'], ['a/b/c', 'refs/heads/a/b'], ['main/x', 'refs/heads/main']] as const) {
    const result = await work.tryGit('push', url, `main:refs/heads/${name}`);
    t.is(result.code, 1);
    t.true(result.stderr.includes(`[remote rejected] main -> ${name} (directory/file conflict with '${other}')`), result.stderr);
  }
  t.is((await work.tryGit('push', url, ':a/b', 'main:refs/heads/a')).code, 0);
  t.is((await work.tryGit('push', '--atomic', url, ':a', 'main:refs/heads/a/b/c')).code, 0);
  const together = await work.tryGit('push', url, 'main:refs/heads/x', 'main:refs/heads/x/y');
  t.is(together.code, 1);
  t.regex(together.stderr, /\[new branch\]/);
  t.regex(together.stderr, /directory\/file conflict/);
});

scenario('refs that differ only in case are two refs', async (t, { work, url }) => {
  const first = await work.commit('first');
  const second = await work.commit('second');
  await work.git('push', '-q', url, `${first}:refs/heads/case`, `${second}:refs/heads/CASE`);
  t.is(await work.git('ls-remote', '--heads', url), `${second}\trefs/heads/CASE\n${first}\trefs/heads/case`);
});

scenario('a damaged object is refused, with git\'s own reason, and nothing is left', async (t, { work, url, cluster, repository }) => {
  await work.commit('first');
  await work.git('push', '-q', url, 'main');
  const blob = await work.git('hash-object', '-w', join(work.path, 'first'));
  const bad = await feedGit(work.path, ['hash-object', '-t', 'tree', '-w', '--literally', '--stdin'],
    Buffer.concat([Buffer.from('100644 .git\0'), Buffer.from(blob, 'hex')]));
  const commit = await work.git('commit-tree', '-m', 'bad', bad.stdout.trim());
  const result = await work.tryGit('push', url, `${commit}:refs/heads/bad`);
  t.is(result.code, 1);
  t.regex(result.stderr, /hasDotgit|contains '\.git'/);
  const missing = await feedGit(work.path, ['hash-object', '-t', 'commit', '-w', '--literally', '--stdin'],
    `tree ${'1'.repeat(40)}\nauthor A <a@example.org> 1 +0000\ncommitter A <a@example.org> 1 +0000\n\nx\n`);
  const oid = missing.stdout.trim();
  const pack = await packOfOne(work, oid);
  const answer = await push(url, pushBody([`${ZERO} ${oid} refs/heads/missing`], 'report-status', pack));
  t.regex(answer.body.toString(), /ng refs\/heads\/missing/);
  t.is((await cluster.show(repository)).generation, 1);
});

/** A pack of one object, whatever it refers to. */
async function packOfOne(tree: WorkTree, oid: string): Promise<Buffer> {
  const name = await feedGit(tree.path, ['pack-objects', '-q', join(tree.path, '.git', 'one')], `${oid}\n`);
  return readFile(join(tree.path, '.git', `one-${name.stdout.trim()}.pack`));
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
