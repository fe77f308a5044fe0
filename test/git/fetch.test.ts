import { WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { dayOf, exampleHistory } from './example-history.ts';
import { feedGit, reachableObjects, refsOf, useCluster } from './fixture.ts';
import { packets, request, uploadPack } from './wire.ts';

const scenario = useCluster(async (cluster) => {
  await cluster.create('example');
  source = await cluster.workTree();
  const imported = await feedGit(source.path, ['fast-import', '--quiet'], exampleHistory());
  if (imported.code !== 0) throw new Error(imported.stderr);
  await source.git('tag', '-a', '-m', 'nested', 'v1-signed-off', 'v1');
  await source.git('config', 'uploadpack.allowFilter', 'true');
  await source.git('push', '-q', cluster.gitUrl('example'), '--all');
  await source.git('push', '-q', cluster.gitUrl('example'), '--tags');
});
const shared = { shared: 'example' };
let source: WorkTree;

for (const version of [0, 1, 2]) {
  scenario(`a clone over protocol v${version} has every ref and object, and a later fetch brings what came since`, async (t, { work, url, directory }) => {
    await work.commit('first');
    await work.git('tag', '-a', '-m', 'one', 'one');
    await work.git('push', '-q', url, 'main', 'one');
    const path = await directory();
    const git = (...args: string[]) => runGit(path, ['-c', `protocol.version=${version}`, ...args], { GIT_TRACE_PACKET: '1' });
    const cloned = await git('clone', '--mirror', url, path);
    t.is(cloned.code, 0, cloned.stderr);
    t.is(cloned.stderr.includes('version 2'), version === 2);
    t.is(cloned.stderr.includes('version 1'), version === 1);
    await work.commit('second');
    await work.git('branch', 'another');
    await work.git('push', '-q', url, 'main', 'another');
    t.is((await git('fetch')).code, 0);
    t.is(await refsOf(path), await refsOf(work.path));
    t.is(await reachableObjects(path), await reachableObjects(work.path));
  });
}

scenario('a shallow clone has one commit object, can be deepened, and becomes complete', async (t, { clone }) => {
  const copy = await clone('--depth=1');
  t.is(await copy.git('rev-list', '--count', 'HEAD'), '1');
  await copy.git('fetch', '-q', '--depth=5');
  t.is(await copy.git('rev-list', '--count', '--first-parent', 'HEAD'), '5');
  await copy.git('fetch', '-q', '--deepen=3');
  t.is(await copy.git('rev-list', '--count', '--first-parent', 'HEAD'), '8');
  await copy.git('fetch', '-q', '--unshallow');
  t.is(await copy.git('rev-list', '--count', 'HEAD'), await source.git('rev-list', '--count', 'main'));
  t.is((await copy.tryGit('fsck', '--full')).code, 0);
}, shared);

for (const version of [0, 2]) {
  scenario(`a clone since a day begins with that day over protocol v${version}`, async (t, { clone }) => {
    const copy = await clone('-c', `protocol.version=${version}`, `--shallow-since=${dayOf(24)}T00:00:00Z`, '--single-branch');
    t.is(await copy.git('log', '--format=%s', '--reverse'), [24, 25, 26, 27, 28, 29].map((day) => `main ${day}`).join('\n'));
  }, shared);

  scenario(`a clone can leave out what a tag reaches over protocol v${version}`, async (t, { clone }) => {
    const copy = await clone('-c', `protocol.version=${version}`, '--shallow-exclude=v2', '--single-branch', '--no-tags');
    t.is(await copy.git('log', '--format=%s', '--reverse'), [26, 27, 28, 29].map((day) => `main ${day}`).join('\n'));
  }, shared);
}

scenario('a complete clone can be made shallow by a fetch', async (t, { clone }) => {
  const copy = await clone('--single-branch', '--no-tags');
  await copy.git('fetch', '-q', '--depth=2');
  t.is(await copy.git('rev-list', '--count', '--first-parent', 'origin/main'), '2');
}, shared);

for (const filter of [
  'blob:none', 'blob:limit=1k', 'tree:0', 'tree:2', 'object:type=commit', 'sparse:oid=main:sparse-filter', 'combine:blob:none+tree:1',
]) {
  scenario(`a partial clone with ${filter} leaves out what git leaves out, and its checkout fetches what it needs`, async (t, { clone, directory }) => {
    const objects = (tree: WorkTree) => tree.git('cat-file', '--batch-check', '--batch-all-objects');
    const copy = await clone(`--filter=${filter}`, '--no-checkout');
    const twin = new WorkTree(await directory());
    await source.git('clone', '-q', `--filter=${filter}`, '--no-checkout', `file://${source.path}`, twin.path);
    t.is(await objects(copy), await objects(twin));
    t.not(await objects(copy), await objects(source));
    await copy.git('checkout', '-q', 'main');
    t.is(await copy.git('rev-parse', 'HEAD^{tree}'), await source.git('rev-parse', 'main^{tree}'));
    t.is(await copy.git('status', '--porcelain'), '');
    t.is(await copy.git('cat-file', 'blob', 'v1:README'), '5');
    t.is(await copy.git('diff', 'origin/other~1', 'origin/other'), await source.git('diff', 'other~1', 'other'));
  }, shared);
}

scenario('a filter that does not exist is refused, and so is one without a meaning', async (t, { url, directory }) => {
  for (const filter of ['blob:some', 'sparse:path=x', 'sparse:oid=nowhere:nothing']) {
    const result = await runGit(await directory(), ['clone', '-q', `--filter=${filter}`, url, '.']);
    t.not(result.code, 0, filter);
  }
}, shared);

scenario('a clone of a single branch has that branch and the tags on it', async (t, { clone }) => {
  const copy = await clone('--single-branch', '--branch=other');
  t.is(await copy.git('for-each-ref', '--format=%(refname)', 'refs/remotes'), 'refs/remotes/origin/other');
  t.is(await copy.git('tag'), 'light\nother-1.0\nv1\nv1-signed-off');
  const [here, there] = [await copy.git('rev-parse', 'HEAD'), await source.git('rev-parse', 'other')];
  t.is(here, there);
}, shared);

scenario('a clone at a tag checks out what the tag points at', async (t, { clone }) => {
  const copy = await clone('--branch=v2', '--depth=1');
  t.is(await copy.git('rev-parse', 'HEAD'), await source.git('rev-parse', 'v2^{commit}'));
}, shared);

for (const version of [0, 2]) {
  scenario(`tags come along with what they point at, unless the client wants none (protocol v${version})`, async (t, { url, directory }) => {
    const fetched = async (...args: string[]) => {
      const tree = new WorkTree(await directory());
      await tree.git('init', '-q');
      await tree.git('-c', `protocol.version=${version}`, 'fetch', '-q', ...args);
      return (await tree.git('tag')).split('\n').join(' ');
    };
    t.is(await fetched(url, 'refs/heads/other:refs/heads/other'), 'light other-1.0 v1 v1-signed-off');
    t.is(await fetched('--no-tags', url, 'refs/heads/other:refs/heads/other'), '');
    t.is(await fetched('--tags', url, 'refs/heads/side:refs/heads/side'), 'light other-1.0 v1 v1-signed-off v2');
    t.is(await fetched(url, 'refs/tags/v1-signed-off:refs/tags/v1-signed-off'), 'v1 v1-signed-off');
  }, shared);
}

scenario('a tag that the client asks for by include-tag is in the pack with its commit object', async (t, { url }) => {
  const [main, v2] = [await source.git('rev-parse', 'v2^{commit}'), await source.git('rev-parse', 'v2')];
  for (const [arguments_, expected] of [[['include-tag'], true], [[], false]] as const) {
    const answer = await uploadPack(url, packets('command=fetch', 'object-format=sha1', '0001', 'no-progress', ...arguments_, `want ${main}`, 'done', '0000'), { 'git-protocol': 'version=2' });
    t.is(await packHas(packOf(answer.body), v2), expected);
  }
}, shared);

scenario('HEAD is shown as a symbolic ref, and a clone checks out the branch it names', async (t, { clone, url }) => {
  for (const version of [0, 1, 2]) {
    const listed = await source.git('-c', `protocol.version=${version}`, 'ls-remote', '--symref', url, 'HEAD');
    t.is(listed, `ref: refs/heads/main\tHEAD\n${await source.git('rev-parse', 'main')}\tHEAD`);
  }
  t.is(await (await clone()).git('symbolic-ref', 'HEAD'), 'refs/heads/main');
}, shared);

scenario('ls-remote lists what matches its patterns, with tags peeled', async (t, { url }) => {
  const bare = (await source.git('ls-remote', '.')).split('\n').filter((line) => !line.includes('refs/remotes/'));
  for (const version of [0, 1, 2]) {
    const list = async (...args: string[]) => (await source.git('-c', `protocol.version=${version}`, 'ls-remote', ...args)).split('\n');
    t.deepEqual(await list(url), bare);
    t.deepEqual((await list('--heads', url)).map((line) => line.split('\t')[1]), ['refs/heads/main', 'refs/heads/other', 'refs/heads/side']);
    t.deepEqual((await list(url, 'v1*')).map((line) => line.split('\t')[1]),
      ['refs/tags/v1', 'refs/tags/v1^{}', 'refs/tags/v1-signed-off', 'refs/tags/v1-signed-off^{}']);
    t.deepEqual((await list('--refs', '--tags', url, 'v*')).map((line) => line.split('\t')[1]), ['refs/tags/v1', 'refs/tags/v1-signed-off', 'refs/tags/v2']);
    t.deepEqual((await list(url, 'refs/heads/s?de')).map((line) => line.split('\t')[1]), ['refs/heads/side']);
    t.deepEqual(await list(url, 'nothing-like-it'), ['']);
    t.is((await source.tryGit('ls-remote', '--exit-code', url, 'nothing-like-it')).code, 2);
  }
}, shared);

for (const version of [0, 1, 2]) {
  scenario(`what was advertised a moment ago can be fetched after it was forced away (protocol v${version})`, async (t, { work, url }) => {
    const first = await work.commit('first');
    const gone = await work.commit('to be forced away');
    await work.git('push', '-q', 'origin', 'main');
    const headers: Record<string, string> = version === 0 ? {} : { 'git-protocol': `version=${version}` };
    const advertised = version === 2
      ? await uploadPack(url, packets('command=ls-refs', 'object-format=sha1', '0000'), headers)
      : await request(`${url}/info/refs?service=git-upload-pack`, { headers });
    t.true(advertised.body.includes(`${gone} refs/heads/main`));
    await work.git('reset', '-q', '--hard', first);
    await work.commit('instead');
    await work.git('push', '-q', '--force', 'origin', 'main');
    const answer = await uploadPack(url, version === 2
      ? packets('command=fetch', 'object-format=sha1', '0001', 'no-progress', `want ${gone}`, 'done', '0000')
      : packets(`want ${gone} side-band-64k no-progress ofs-delta\n`, '0000', 'done\n'), headers);
    t.is(answer.status, 200);
    t.true(await packHas(packOf(answer.body), gone));
  });
}

scenario('an object that no ref reaches is served to a client that names it', async (t, { clone }) => {
  const copy = await clone('--depth=1', '--no-tags');
  const old = await source.git('rev-parse', 'main~9');
  await copy.git('fetch', '-q', 'origin', old);
  t.is(await copy.git('cat-file', '-t', old), 'commit');
  const nowhere = await copy.tryGit('fetch', '-q', 'origin', '1'.repeat(40));
  t.not(nowhere.code, 0);
  t.regex(nowhere.stderr, /not our ref 1{40}/);
}, shared);

scenario('a fetch of what is there already brings no pack', async (t, { clone }) => {
  const copy = await clone();
  const again = await runGit(copy.path, ['fetch', '-q'], { GIT_TRACE_PACKET: '1' });
  t.is(again.code, 0);
  t.false(again.stderr.includes('packfile'));
}, shared);

scenario('a fetch prunes what was deleted, and a forced branch is fetched as forced', async (t, { work, clone }) => {
  const first = await work.commit('first');
  await work.commit('second');
  await work.git('push', '-q', 'origin', 'main', 'main:gone');
  const copy = await clone();
  await work.git('reset', '-q', '--hard', first);
  const other = await work.commit('another second');
  await work.git('push', '-q', '--force', 'origin', 'main', ':gone');
  const fetched = await copy.tryGit('fetch', '--prune');
  t.regex(fetched.stderr, /\+ .*\(forced update\)/);
  t.regex(fetched.stderr, /\[deleted\].*origin\/gone/);
  t.is(await copy.git('rev-parse', 'origin/main'), other);
});

scenario('a fetch with many haves negotiates in several rounds, over each protocol', async (t, { work, clone }) => {
  await work.commit('first');
  await work.git('push', '-q', 'origin', 'main');
  const copies = [await clone(), await clone()];
  const tip = await work.commit('later');
  await work.git('push', '-q', 'origin', 'main');
  for (const [i, copy] of copies.entries()) {
    const imported = await feedGit(copy.path, ['fast-import', '--quiet'], manyCommits(600));
    t.is(imported.code, 0, imported.stderr);
    const fetched = await runGit(copy.path, ['-c', `protocol.version=${i * 2}`, 'fetch', '-q'], { GIT_TRACE_PACKET: '1' });
    t.is(fetched.code, 0, fetched.stderr);
    t.true((fetched.stderr.match(/> have/g) ?? []).length > 256);
    t.is(await copy.git('rev-parse', 'origin/main'), tip);
  }
});

scenario('a mirror clone is equal to what was pushed, ref for ref and object for object', async (t, { clone }) => {
  const copy = await clone('--mirror');
  t.is(await refsOf(copy.path), await refsOf(source.path));
  t.is(await reachableObjects(copy.path), await reachableObjects(source.path));
}, shared);

/** Newer than anything else, so that they are named before what both sides have. */
function* manyCommits(count: number): Generator<Buffer> {
  for (let i = 0; i < count; i++) {
    yield Buffer.from(`commit refs/heads/own-${i}\ncommitter A <a@example.org> ${2_000_000_000 + i} +0000\ndata 1\n.\n\n`);
  }
}

/** The pack out of the side-band of a fetch's answer. */
function packOf(answer: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at + 4 <= answer.length;) {
    const length = Number.parseInt(answer.toString('latin1', at, at + 4), 16);
    if (length > 5 && answer[at + 4] === 1) parts.push(answer.subarray(at + 5, at + length));
    at += Math.max(length, 4);
  }
  return Buffer.concat(parts);
}

async function packHas(pack: Buffer, oid: string): Promise<boolean> {
  const tree = await scenario.cluster().workTree('pack');
  const indexed = await feedGit(tree.path, ['index-pack', '--stdin', '--fix-thin'], pack);
  if (indexed.code !== 0) throw new Error(indexed.stderr);
  return (await tree.tryGit('cat-file', '-e', oid)).code === 0;
}
