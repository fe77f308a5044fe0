import { existsSync } from 'node:fs';
import anyTest, { type TestFn } from 'ava';
import { headValue, RefsDigest } from '@trivet/proto/refs-digest.ts';
import { Cluster, expectNothingLeft, type RepositoryView } from '../cluster.ts';

const test = anyTest as TestFn<{ cluster: Cluster }>;

test.before(async (t) => { t.context = { cluster: await Cluster.start({ environment: { TRIVET_COMMIT_GRACE_MS: '10000' } }) }; });
test.after.always(async (t) => { await t.context.cluster.stop(); });

interface Reply { status: number; headers: Headers; json: unknown }

async function call(cluster: Cluster, method: string, path: string, body?: object): Promise<Reply> {
  const init = body === undefined ? { method } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${cluster.url}${path}`, init);
  return { status: response.status, headers: response.headers, json: await response.json() };
}

function emptyDigest(branch: string): string {
  return new RefsDigest().toggle('HEAD', headValue(`refs/heads/${branch}`)).hex;
}

test('POST without a body creates a repository on three nodes', async (t) => {
  const { cluster } = t.context;
  const { status, headers, json } = await call(cluster, 'POST', '/api/repos/plain');
  t.is(status, 201);
  t.is(headers.get('location'), '/api/repos/plain');
  t.like(json, { name: 'plain', generation: 0, digest: emptyDigest('main'), defaultBranch: 'main', objectFormat: 'sha1', replicationFactor: 3, denyDeletes: false, denyNonFastForwards: false });
  const { replicas } = json as RepositoryView;
  t.deepEqual(replicas.map(({ node }) => node).sort(), cluster.nodeNames());
  for (const replica of replicas) {
    t.like(replica, { state: 'current', generation: 0, digest: emptyDigest('main') });
    t.true(existsSync(await cluster.replicaDirectory('plain', replica.node)));
  }
});

test('POST with an empty object is POST without a body', async (t) => {
  const { status, json } = await call(t.context.cluster, 'POST', '/api/repos/empty-object', {});
  t.is(status, 201);
  t.like(json, { defaultBranch: 'main', replicationFactor: 3 });
});

test('POST takes a default branch, an object format, a replication factor and a policy', async (t) => {
  const { cluster } = t.context;
  const body = { defaultBranch: 'trunk/one', objectFormat: 'sha256', replicationFactor: 1, denyNonFastForwards: true, denyDeletes: true };
  const { status, json } = await call(cluster, 'POST', '/api/repos/special', body);
  t.is(status, 201);
  t.like(json, { ...body, name: 'special', digest: emptyDigest('trunk/one') });
  t.is((json as RepositoryView).replicas.length, 1);
  t.deepEqual(await cluster.show('special'), json as RepositoryView);
});

test('a default branch may be given as a full ref', async (t) => {
  t.like((await call(t.context.cluster, 'POST', '/api/repos/full-ref', { defaultBranch: 'refs/heads/dev' })).json, { defaultBranch: 'dev', digest: emptyDigest('dev') });
});

test('a name may have several segments, and `.git` at its end is no part of it', async (t) => {
  const { cluster } = t.context;
  t.is((await call(cluster, 'POST', '/api/repos/team/sub-team/project.git')).status, 201);
  for (const path of ['team/sub-team/project', 'team/sub-team/project.git', 'team%2Fsub-team%2Fproject']) {
    t.like((await call(cluster, 'GET', `/api/repos/${path}`)).json, { name: 'team/sub-team/project' }, path);
  }
  t.is((await call(cluster, 'GET', '/api/repos/team/sub-team')).status, 404);
});

test('a name is given once', async (t) => {
  const { cluster } = t.context;
  const answers = await Promise.all(Array.from({ length: 5 }, () => call(cluster, 'POST', '/api/repos/once')));
  t.deepEqual(answers.map(({ status }) => status).sort(), [201, 409, 409, 409, 409]);
  const { id } = await cluster.show('once');
  for (const { status, json } of answers) {
    if (status === 201) t.is((json as RepositoryView).id, id);
    else t.like(json, { code: 'repository_exists', message: 'the repository exists already', retry: false });
  }
});

test('a repository that is not there is 404, whatever is wanted of it', async (t) => {
  for (const method of ['GET', 'DELETE']) {
    const { status, json } = await call(t.context.cluster, method, '/api/repos/nowhere');
    t.is(status, 404);
    t.deepEqual(json, { code: 'repository_not_found', message: 'no such repository', retry: false, fields: { repository: 'nowhere' } });
  }
});

test('more replicas than nodes can not be had, and leave nothing', async (t) => {
  const { cluster } = t.context;
  const { status, headers, json } = await call(cluster, 'POST', '/api/repos/too-many', { replicationFactor: 4 });
  t.is(status, 503);
  t.is(headers.get('retry-after'), '1');
  t.like(json, { code: 'not_enough_nodes', fields: { needed: 4, nodes: 3 } });
  t.is((await call(cluster, 'GET', '/api/repos/too-many')).status, 404);
});

test('showing a repository shows what a push made of it', async (t) => {
  const { cluster } = t.context;
  await cluster.create('pushed');
  const work = await cluster.workTree();
  const tip = await work.commit('first');
  await work.git('push', '-q', cluster.gitUrl('pushed'), 'main');
  const view = await cluster.converged('pushed');
  t.is(view.generation, 1);
  t.is(view.digest, new RefsDigest(emptyDigest('main')).toggle('refs/heads/main', tip).hex);
  for (const replica of view.replicas) t.like(replica, { state: 'current', generation: 1, digest: view.digest, reason: null });
});

test.serial('a deleted repository is gone for everybody, and still on the disks of all nodes', async (t) => {
  const { cluster } = t.context;
  const created = await cluster.create('doomed');
  const work = await cluster.workTree();
  await work.commit('first');
  await work.git('push', '-q', cluster.gitUrl('doomed'), 'main');
  const directories = await Promise.all(cluster.nodeNames().map((node) => cluster.replicaDirectory('doomed', node)));
  t.true(directories.every((directory) => existsSync(directory)));
  const { status, json } = await call(cluster, 'DELETE', '/api/repos/doomed');
  t.is(status, 200);
  t.like(json, { name: 'doomed', id: created.id });
  t.is((await call(cluster, 'GET', '/api/repos/doomed')).status, 404);
  t.is((await call(cluster, 'DELETE', '/api/repos/doomed')).status, 404);
  t.is((await work.tryGit('ls-remote', cluster.gitUrl('doomed'))).code, 128);
  t.true(directories.every((directory) => existsSync(directory)), 'it can be restored');
  await expectNothingLeft(cluster);
  const again = await cluster.create('doomed');
  t.not(again.id, created.id);
  t.is(again.generation, 0);
  t.is((await work.git('ls-remote', cluster.gitUrl('doomed'))), '');
});

test.serial('a list is a bare array in the order of names, and comes in pages', async (t) => {
  const { cluster } = t.context;
  for (const name of ['list/b', 'list/a', 'list/D', 'list/c']) await cluster.create(name);
  const all = (await call(cluster, 'GET', '/api/repos')).json as RepositoryView[];
  t.true(Array.isArray(all));
  const names = all.map(({ name }) => name);
  t.deepEqual(names, [...names].sort());
  t.deepEqual(names.filter((name) => name.startsWith('list/')), ['list/D', 'list/a', 'list/b', 'list/c']);
  t.deepEqual(all.find(({ name }) => name === 'list/a'), await cluster.show('list/a'));
  const paged: string[] = [];
  for (let after = ''; ;) {
    const page = (await call(cluster, 'GET', `/api/repos?limit=3&after=${encodeURIComponent(after)}`)).json as RepositoryView[];
    t.true(page.length <= 3);
    paged.push(...page.map(({ name }) => name));
    if (page.length < 3) break;
    after = page.at(-1)!.name;
  }
  t.deepEqual(paged, names);
  t.deepEqual((await call(cluster, 'GET', '/api/repos?after=zzzz')).json, []);
  t.deepEqual(((await call(cluster, 'GET', '/api/repos?after=list/a&limit=1')).json as RepositoryView[]).map(({ name }) => name), ['list/b']);
});

test('gitmesh\'s clients find what they read', async (t) => {
  const { cluster } = t.context;
  const created = await fetch(`${cluster.url}/api/repos/gitmesh`, { method: 'POST' });
  t.is(created.status, 201);
  const one = await (await fetch(`${cluster.url}/api/repos/gitmesh`)).json() as { primaryNode: string; timestamp: number; nodes: { url: string; status: string }[] };
  const urls = cluster.nodeNames().map((node) => cluster.partUrl(node));
  t.true(urls.includes(one.primaryNode));
  t.true(Math.abs(Date.now() - one.timestamp) < 600_000);
  t.deepEqual(one.nodes.map(({ url }) => url).sort(), urls);
  t.true(one.nodes.every(({ status }) => status === 'READY'));
  const list = await (await fetch(`${cluster.url}/api/repos`)).json() as { name: string }[];
  t.true(list.some(({ name }) => name === 'gitmesh'));
  const deleted = await fetch(`${cluster.url}/api/repos/gitmesh`, { method: 'DELETE' });
  t.true(deleted.ok);
});
