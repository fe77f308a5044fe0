import { WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { useCluster } from './fixture.ts';

const scenario = useCluster();

for (const version of [0, 1, 2]) {
  scenario(`an empty repository can be cloned, listed and fetched from over protocol v${version}`, async (t, { url, directory }) => {
    const path = await directory();
    const git = (...args: string[]) => runGit(path, ['-c', `protocol.version=${version}`, ...args]);
    const cloned = await git('clone', url, '.');
    t.is(cloned.code, 0, cloned.stderr);
    t.regex(cloned.stderr, /You appear to have cloned an empty repository/);
    t.deepEqual(await git('ls-remote', url), { code: 0, stdout: '', stderr: '' });
    t.deepEqual(await git('fetch', '-q'), { code: 0, stdout: '', stderr: '' });
    t.is((await git('fetch', '-q', 'origin', 'main')).stderr.trim(), "fatal: couldn't find remote ref main");
  });
}

scenario('a clone of an empty repository begins on its default branch', async (t, { clone, work, cluster, repository }) => {
  const copy = await clone();
  t.is(await copy.git('symbolic-ref', 'HEAD'), 'refs/heads/stem');
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main:stem');
  await copy.git('pull', '-q');
  t.is(await copy.git('rev-parse', 'HEAD'), await work.git('rev-parse', 'HEAD'));
  t.is((await cluster.show(repository)).defaultBranch, 'stem');
}, { create: { defaultBranch: 'stem' } });

scenario('the first pushed branch becomes the default branch when HEAD points at nothing', async (t, { clone, work, cluster, repository, url }) => {
  await work.git('checkout', '-q', '-b', 'trunk');
  const tip = await work.commit('first');
  t.is((await cluster.show(repository)).defaultBranch, 'main');
  await work.git('push', '-q', 'origin', 'trunk');
  t.is((await cluster.show(repository)).defaultBranch, 'trunk');
  t.is(await work.git('ls-remote', '--symref', url, 'HEAD'), `ref: refs/heads/trunk\tHEAD\n${tip}\tHEAD`);
  const copy = await clone();
  t.is(await copy.git('symbolic-ref', 'HEAD'), 'refs/heads/trunk');
  t.is(await copy.git('rev-parse', 'HEAD'), tip);
  for (const { node } of (await cluster.converged(repository)).replicas) {
    t.is((await runGit(await cluster.replicaDirectory(repository, node), ['symbolic-ref', 'HEAD'])).stdout, 'refs/heads/trunk\n', node);
  }
});

scenario('a tag alone does not move HEAD, and a later branch does', async (t, { work, cluster, repository }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main:refs/tags/v1');
  t.is((await cluster.show(repository)).defaultBranch, 'main');
  await work.git('push', '-q', 'origin', 'main:refs/heads/later');
  t.is((await cluster.show(repository)).defaultBranch, 'later');
});

scenario('of several first branches main is taken, or else master, and later branches leave HEAD alone', async (t, { work, cluster, repository }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main:refs/heads/alpha', 'main:refs/heads/master', 'main:refs/heads/zeta');
  t.is((await cluster.show(repository)).defaultBranch, 'master');
  await work.git('push', '-q', 'origin', 'main');
  t.is((await cluster.show(repository)).defaultBranch, 'master');
}, { create: { defaultBranch: 'stem' } });

scenario('the current branch can not be deleted, neither alone nor by a mirror push, and the text says so', async (t, { work, url, cluster }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:other');
  const refused = await work.tryGit('push', 'origin', ':main');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /! \[remote rejected\] main \(deletion of the current branch prohibited\)/);
  const empty = await cluster.workTree('empty');
  await empty.git('fetch', '-q', url, 'other:refs/heads/other');
  const mirrored = await empty.tryGit('push', '--mirror', url);
  t.regex(mirrored.stderr, /deletion of the current branch prohibited/);
  t.deepEqual((await work.git('ls-remote', '--heads', url)).split('\n').map((line) => line.split('\t')[1]), ['refs/heads/main', 'refs/heads/other']);
});

scenario('other branches can be deleted together with a refusal for the current one', async (t, { work, url }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:a', 'main:b');
  const result = await work.tryGit('push', 'origin', ':main', ':a', ':b');
  t.is(result.code, 1);
  t.regex(result.stderr, /- \[deleted\] +a\n/);
  t.is(await work.git('ls-remote', '--heads', url), `${await work.git('rev-parse', 'main')}\trefs/heads/main`);
});

scenario('a SHA-256 repository is empty, pushed to, cloned and fetched like any other', async (t, { url, directory, clone, cluster, repository }) => {
  // Which format the empty clone takes depends on the client: git learned to follow the server in 2.41.
  await clone();
  const work = new WorkTree(await directory());
  await work.git('init', '-q', '-b', 'trunk', '--object-format=sha256');
  const first = await work.commit('first', { 'text.txt': 'text\n', 'large.bin': '\u0001'.repeat(5_000) });
  t.is(first.length, 64);
  await work.git('tag', '-a', '-m', 'one', 'v1');
  await work.git('push', '-q', '--follow-tags', url, 'trunk');
  t.is((await cluster.show(repository)).defaultBranch, 'trunk');
  for (const version of [0, 2]) {
    const copy = await clone('-c', `protocol.version=${version}`);
    t.is(await copy.git('rev-parse', 'v1^{commit}'), first);
    t.is((await copy.tryGit('fsck', '--full')).code, 0);
    const next = await work.commit(`next ${version}`);
    await work.git('push', '-q', url, 'trunk');
    await copy.git('pull', '-q');
    t.is(await copy.git('rev-parse', 'HEAD'), next);
  }
  const shallow = await clone('--depth=1');
  t.is(await shallow.git('rev-list', '--count', 'HEAD'), '1');
  await work.git('push', '-q', url, ':v1');
  t.is(await work.git('ls-remote', '--tags', url), '');
}, { create: { objectFormat: 'sha256' } });

scenario('a client of the other object format is refused, and nothing changes', async (t, { work, url, directory, cluster, repository }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const other = new WorkTree(await directory());
  await other.git('init', '-q', '--object-format=sha256');
  await other.commit('first');
  const pushed = await other.tryGit('push', url, 'HEAD:refs/heads/other');
  t.not(pushed.code, 0);
  t.regex(pushed.stderr, /does not support|mismatched algorithms|object format/);
  t.not((await other.tryGit('fetch', url)).code, 0);
  t.is((await cluster.show(repository)).generation, 1);
});
