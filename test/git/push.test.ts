import { readFile } from 'node:fs/promises';
import { runGit } from '../run-git.ts';
import { expectReplicasEqualTo, makePack, useCluster } from './fixture.ts';
import { push, pushBody } from './wire.ts';

const scenario = useCluster();
const ZERO = '0'.repeat(40);

scenario('a push creates, updates and deletes refs, each one generation further', async (t, { work, url, cluster, repository }) => {
  const generation = async () => (await cluster.show(repository)).generation;
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:topic');
  t.is(await generation(), 1);
  const second = await work.commit('second');
  await work.git('push', '-q', 'origin', 'main');
  t.is(await generation(), 2);
  await work.git('push', '-q', 'origin', '--delete', 'topic');
  t.is(await generation(), 3);
  t.is(await work.git('ls-remote', url), `${second}\tHEAD\n${second}\trefs/heads/main`);
});

scenario('a push of what is there already says so and changes nothing', async (t, { work, cluster, repository }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const again = await work.tryGit('push', 'origin', 'main');
  t.deepEqual([again.code, again.stderr], [0, 'Everything up-to-date\n']);
  t.is((await cluster.show(repository)).generation, 1);
});

scenario('a rewritten branch needs force: the client refuses without it, and the server lets it through', async (t, { work, url }) => {
  const first = await work.commit('first');
  await work.commit('second');
  await work.git('push', '-q', 'origin', 'main');
  await work.git('reset', '-q', '--hard', first);
  const rewritten = await work.commit('another second');
  const refused = await work.tryGit('push', 'origin', 'main');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /! \[rejected\] +main -> main \(non-fast-forward\)/);
  const forced = await work.tryGit('push', '--force', 'origin', 'main');
  t.regex(forced.stderr, /\+ .* main -> main \(forced update\)/);
  t.is(await work.git('ls-remote', '--heads', url), `${rewritten}\trefs/heads/main`);
});

scenario('a repository that denies non-fast-forwards refuses them however much force is used, on branches only', async (t, { work, url }) => {
  const first = await work.commit('first');
  const second = await work.commit('second');
  await work.git('push', '-q', 'origin', 'main', 'main:refs/tags/moving');
  await work.git('reset', '-q', '--hard', first);
  const other = await work.commit('another second');
  const refused = await work.tryGit('push', '--force', 'origin', 'main', 'main:refs/tags/moving');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /! \[remote rejected\] main -> main \(non-fast-forward\)/);
  t.is(await work.git('ls-remote', url, 'refs/*'), `${second}\trefs/heads/main\n${other}\trefs/tags/moving`);
  await work.git('merge', '-q', '-m', 'both', second);
  t.is((await work.tryGit('push', 'origin', 'main')).code, 0);
  t.is((await work.tryGit('push', 'origin', 'main:fresh')).code, 0);
  t.is((await work.tryGit('push', 'origin', ':fresh')).code, 0);
}, { create: { denyNonFastForwards: true } });

scenario('a repository that denies deletions refuses them, on every ref', async (t, { work }) => {
  const first = await work.commit('first');
  await work.commit('second');
  await work.git('push', '-q', 'origin', 'main', 'main:topic', 'main:refs/tags/v1');
  const refused = await work.tryGit('push', 'origin', ':topic', ':v1');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /! \[remote rejected\] topic \(deletion prohibited\)/);
  t.regex(refused.stderr, /! \[remote rejected\] v1 \(deletion prohibited\)/);
  t.is((await work.tryGit('push', '--force', 'origin', `${first}:refs/heads/topic`)).code, 0);
}, { create: { denyDeletes: true } });

scenario('--mirror makes the remote equal: new refs, moved refs, and refs that are gone', async (t, { work, url, cluster, repository }) => {
  await work.git('remote', 'remove', 'origin');
  const first = await work.commit('first');
  await work.git('branch', 'topic');
  await work.git('tag', '-a', '-m', 'v1', 'v1');
  await work.git('update-ref', 'refs/notes/commits', first);
  await work.git('push', '-q', '--mirror', url);
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  await work.commit('second');
  await work.git('branch', '-D', '-q', 'topic');
  await work.git('tag', '-d', 'v1');
  await work.git('tag', '-f', 'v2', first);
  await work.git('push', '-q', '--mirror', url);
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  t.is((await cluster.show(repository)).generation, 2);
});

scenario('--tags brings every tag, --follow-tags only annotated ones of what is pushed', async (t, { work, url }) => {
  await work.commit('first');
  await work.git('tag', 'light');
  await work.git('tag', '-a', '-m', 'one', 'annotated');
  await work.git('checkout', '-q', '-b', 'elsewhere');
  await work.commit('elsewhere');
  await work.git('tag', '-a', '-m', 'two', 'annotated-elsewhere');
  const tags = async () => (await work.git('ls-remote', '--refs', '--tags', url)).split('\n').map((line) => line.split('refs/tags/')[1]);
  await work.git('push', '-q', '--follow-tags', 'origin', 'main');
  t.deepEqual(await tags(), ['annotated']);
  await work.git('push', '-q', '--tags', 'origin');
  t.deepEqual(await tags(), ['annotated', 'annotated-elsewhere', 'light']);
});

scenario('--force-with-lease moves a branch that is where it was expected, and only then', async (t, { work, url, clone }) => {
  const first = await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const other = await clone();
  await work.git('commit', '-q', '--amend', '-m', 'amended');
  t.is((await work.tryGit('push', '--force-with-lease', 'origin', 'main')).code, 0);
  await other.commit('on top of what is gone');
  const stale = await other.tryGit('push', '--force-with-lease', 'origin', 'main');
  t.is(stale.code, 1);
  t.regex(stale.stderr, /! \[rejected\] +main -> main \(stale info\)/);
  t.is((await other.tryGit('push', `--force-with-lease=main:${first}`, 'origin', 'main')).code, 1);
  const expected = await work.git('rev-parse', 'HEAD');
  t.is((await other.tryGit('push', `--force-with-lease=main:${expected}`, 'origin', 'main')).code, 0);
  t.is(await work.git('ls-remote', '--heads', url), `${await other.git('rev-parse', 'HEAD')}\trefs/heads/main`);
  const exists = await other.tryGit('push', '--force-with-lease=main:', 'origin', 'main~1:main');
  t.is(exists.code, 1);
  t.is((await other.tryGit('push', '--force-with-lease=fresh:', 'origin', 'main:fresh')).code, 0);
});

scenario('an old value that is not the ref\'s any more is refused by the server itself', async (t, { work, url }) => {
  const first = await work.commit('first');
  const second = await work.commit('second');
  await work.git('push', '-q', url, 'main');
  const pack = await makePack(work, []);
  for (const [old, ref] of [[first, 'refs/heads/main'], [ZERO, 'refs/heads/main'], [first, 'refs/heads/none']] as const) {
    const answer = await push(url, pushBody([`${old} ${first} ${ref}`], 'report-status', pack));
    t.is(answer.status, 200);
    t.true(answer.body.includes(`ng ${ref} incorrect old value provided`), answer.body.toString());
  }
  t.is(await work.git('ls-remote', '--heads', url), `${second}\trefs/heads/main`);
});

scenario('without --atomic each ref has its own verdict, in one transaction', async (t, { work, url, cluster, repository }) => {
  const first = await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:locked');
  await work.git('commit', '-q', '--amend', '-m', 'amended');
  const amended = await work.git('rev-parse', 'HEAD');
  const result = await work.tryGit('push', '--force', 'origin', 'main:locked', 'main:fresh', 'main:refs/tags/v1', ':main');
  t.is(result.code, 1);
  t.regex(result.stderr, /! \[remote rejected\] main -> locked \(non-fast-forward\)/);
  t.regex(result.stderr, /! \[remote rejected\] main \(deletion of the current branch prohibited\)/);
  t.regex(result.stderr, /\* \[new branch\] +main -> fresh/);
  t.is(await work.git('ls-remote', url, 'refs/*'), `${amended}\trefs/heads/fresh\n${first}\trefs/heads/locked\n${first}\trefs/heads/main\n${amended}\trefs/tags/v1`);
  t.is((await cluster.show(repository)).generation, 2);
}, { create: { denyNonFastForwards: true } });

scenario('with --atomic one refused ref refuses them all, and nothing moves', async (t, { work, url, cluster, repository }) => {
  const first = await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:locked');
  await work.git('commit', '-q', '--amend', '-m', 'amended');
  const result = await work.tryGit('push', '--atomic', '--force', 'origin', 'main:locked', 'main:fresh');
  t.is(result.code, 1);
  t.regex(result.stderr, /! \[remote rejected\] main -> locked \(non-fast-forward\)/);
  t.regex(result.stderr, /! \[remote rejected\] main -> fresh \(atomic transaction failed\)/);
  t.is(await work.git('ls-remote', '--heads', url), `${first}\trefs/heads/locked\n${first}\trefs/heads/main`);
  t.is((await cluster.show(repository)).generation, 1);
  const current = await work.tryGit('push', '--atomic', 'origin', ':main', 'main:fresh');
  t.regex(current.stderr, /main -> fresh \(atomic transaction failed\)/);
  t.is((await cluster.show(repository)).generation, 1);
  t.is((await work.tryGit('push', '--atomic', 'origin', 'main:fresh', 'main:fresher', ':locked')).code, 0);
  t.is((await cluster.show(repository)).generation, 2);
}, { create: { denyNonFastForwards: true } });

scenario('push options are accepted, from the command line and from the configuration', async (t, { work, url }) => {
  await work.commit('first');
  t.is((await work.tryGit('push', '-o', 'ci.skip', '-o', 'reviewer=Ada Lovelace', 'origin', 'main')).code, 0);
  await work.git('config', 'push.pushOption', 'from the configuration');
  t.is((await work.tryGit('push', 'origin', 'main:other')).code, 0);
  const answer = await push(url, pushBody([`${ZERO} ${await work.git('rev-parse', 'main')} refs/heads/none`], 'report-status push-options', await makePack(work, []), []));
  t.true(answer.body.includes('ok refs/heads/none'));
});

scenario('a push from a shallow clone arrives, with the whole history of its parents', async (t, { work, clone, cluster, repository }) => {
  for (const name of ['one', 'two', 'three']) await work.commit(name);
  await work.git('push', '-q', 'origin', 'main');
  const shallow = await clone('--depth=1');
  await shallow.commit('four');
  await shallow.git('push', '-q', 'origin', 'main', 'main:topic');
  const complete = await clone('--mirror');
  t.is(await complete.git('rev-list', '--count', 'main'), '4');
  await expectReplicasEqualTo(t, cluster, repository, complete.path);
});

scenario('a shallow history whose parents the repository does not have is refused', async (t, { work, clone, cluster }) => {
  for (const name of ['one', 'two', 'three']) await work.commit(name);
  await work.git('push', '-q', 'origin', 'main');
  const shallow = await clone('--depth=1');
  await cluster.create('shallow-target');
  const refused = await shallow.tryGit('push', cluster.gitUrl('shallow-target'), 'main');
  t.is(refused.code, 1);
  t.regex(refused.stderr, /remote rejected|remote unpack failed/);
  const { generation } = await cluster.show('shallow-target');
  t.is(generation, 0);
});

scenario('a push from a partial clone arrives', async (t, { work, clone, cluster, repository }) => {
  await work.commit('first', { 'a/b/c.txt': 'c\n', 'd.txt': 'd\n' });
  await work.commit('second', { 'a/b/c.txt': 'cc\n' });
  await work.git('push', '-q', 'origin', 'main');
  for (const filter of ['blob:none', 'tree:0']) {
    const partial = await clone(`--filter=${filter}`);
    await partial.commit(`from ${filter}`, { [filter.replace(':', '/')]: filter });
    const pushed = await partial.tryGit('push', 'origin', 'main');
    t.is(pushed.code, 0, pushed.stderr);
  }
  const complete = await clone('--mirror');
  t.is(await complete.git('rev-list', '--count', 'main'), '4');
  await expectReplicasEqualTo(t, cluster, repository, complete.path);
});

scenario('the report has the form the client asked for, in the side-band when it can', async (t, { work, url }) => {
  const tip = await work.commit('first');
  const pack = await makePack(work, [tip]);
  const report = (ref: string) => `000eunpack ok\n${packetOf(`ok refs/heads/${ref}\n`)}0000`;
  const answer = async (ref: string, capabilities: string) => (
    (await push(url, pushBody([`${ZERO} ${tip} refs/heads/${ref}`], capabilities, pack))).body.toString());
  t.is(await answer('a', 'report-status'), report('a'));
  t.is(await answer('b', 'report-status-v2'), report('b'));
  t.is(await answer('c', 'report-status report-status-v2'), report('c'));
  t.is(await answer('d', ''), '');
  t.is(await answer('e', 'side-band-64k quiet'), '0000');
  t.is(await answer('f', 'report-status side-band-64k quiet'), `${packetOf(`\x01${report('f')}`)}0000`);
  t.is(await answer('g', 'report-status-v2 side-band-64k'), `${packetOf('\x02stored on 3 replicas\n')}${packetOf(`\x01${report('g')}`)}0000`);
  t.is((await work.git('ls-remote', '--heads', url)).split('\n').length, 7);
});

scenario('a push tells on how many replicas it is, and --quiet says nothing at all', async (t, { work }) => {
  await work.commit('first');
  const told = await work.tryGit('push', '--progress', 'origin', 'main');
  t.regex(told.stderr, /^remote: stored on 3 replicas *$/m);
  await work.commit('second');
  t.deepEqual(await work.tryGit('push', '--quiet', 'origin', 'main'), { code: 0, stdout: '', stderr: '' });
});

scenario('--porcelain gives one line for each ref that scripts can read', async (t, { work, url }) => {
  const first = await work.commit('first');
  await work.git('push', '-q', 'origin', 'main', 'main:gone');
  const second = await work.commit('second');
  const result = await work.tryGit('push', '--porcelain', url, 'main', ':gone', 'main:fresh', `${first}:refs/trivet/x`);
  t.is(result.code, 1);
  t.deepEqual(result.stdout.trimEnd().split('\n').sort(), [
    ` \trefs/heads/main:refs/heads/main\t${first.slice(0, 7)}..${second.slice(0, 7)}`,
    '-\t:refs/heads/gone\t[deleted]',
    '*\trefs/heads/main:refs/heads/fresh\t[new branch]',
    `!\t${first}:refs/trivet/x\t[remote rejected] (deny updating a hidden ref)`,
    'Done',
    `To ${url}`,
  ].sort());
});

scenario('--dry-run changes nothing', async (t, { work, url }) => {
  await work.commit('first');
  t.is((await work.tryGit('push', '--dry-run', 'origin', 'main')).code, 0);
  t.is(await work.git('ls-remote', url), '');
});

scenario('refs/trivet/ is neither shown nor writable nor deletable', async (t, { work, url, cluster, repository }) => {
  const tip = await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const pack = await makePack(work, []);
  for (const command of [`${ZERO} ${tip} refs/trivet/x`, `${tip} ${ZERO} refs/trivet/x`, `${ZERO} ${tip} refs/trivet/deep/er`]) {
    const answer = await push(url, pushBody([command], 'report-status delete-refs', command.endsWith(`${ZERO} refs/trivet/x`) ? undefined : pack));
    t.regex(answer.body.toString(), /ng refs\/trivet\/\S+ deny updating a hidden ref/);
  }
  t.is((await work.tryGit('push', 'origin', 'main:refs/trivetx/fine')).code, 0);
  t.is(await work.git('ls-remote', url, 'refs/trivet*'), `${tip}\trefs/trivetx/fine`);
  for (const { node } of (await cluster.show(repository)).replicas) {
    const packed = await readFile(`${await cluster.replicaDirectory(repository, node)}/packed-refs`, 'utf8').catch(() => '');
    t.false(packed.includes('refs/trivet/'));
  }
});

scenario('two clones push in turn, and the one that is behind is told to fetch first', async (t, { work, clone }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const [ada, ken] = [await clone(), await clone()];
  await ada.commit('by Ada');
  await ada.git('push', '-q', 'origin', 'main');
  await ken.commit('by Ken');
  const behind = await ken.tryGit('push', 'origin', 'main');
  t.is(behind.code, 1);
  t.regex(behind.stderr, /! \[rejected\] +main -> main \(fetch first\)/);
  await ken.git('pull', '-q', '--rebase');
  await ken.git('push', '-q', 'origin', 'main');
  await ada.git('pull', '-q');
  t.is(await ada.git('log', '--format=%s'), 'by Ken\nby Ada\nfirst');
});

scenario('a repository that does not exist is said not to exist', async (t, { work, cluster }) => {
  await work.commit('first');
  const url = cluster.gitUrl('nowhere');
  for (const args of [['push', url, 'main'], ['fetch', url], ['ls-remote', url]]) {
    const result = await runGit(work.path, args);
    t.is(result.code, 128);
    t.regex(result.stderr, /repository '.*nowhere.*' not found/);
  }
});

function packetOf(text: string): string {
  return `${(Buffer.byteLength(text) + 4).toString(16).padStart(4, '0')}${text}`;
}
