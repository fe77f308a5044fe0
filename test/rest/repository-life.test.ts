import { existsSync } from 'node:fs';
import anyTest, { type ExecutionContext } from 'ava';
import { Cluster, expectEqualReplicas, expectNothingLeft, PATIENCE_MS, until } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { PushedRepository } from '../faults/pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => { cluster = await Cluster.start(); });
anyTest.after.always(() => cluster?.stop());

interface Reply { status: number; json: any }

async function call(method: string, path: string, body?: object): Promise<Reply> {
  const init = body === undefined ? { method } : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${cluster.url}/api/v1/${path}`, init);
  return { status: response.status, json: await response.json() };
}

async function refused(t: ExecutionContext, [method, path, body]: [string, string, object?], status: number, code: string, fields?: object): Promise<void> {
  const reply = await call(method, path, body);
  t.is(reply.status, status, JSON.stringify(reply.json));
  t.like(reply.json, fields === undefined ? { code } : { code, fields });
}

async function symbolicHeads(name: string): Promise<string[]> {
  const { replicas } = await cluster.converged(name);
  return Promise.all(replicas.map(async ({ node }) => (await runGit(await cluster.replicaDirectory(name, node), ['symbolic-ref', 'HEAD'])).stdout.trim()));
}

test('a repository is created, shown and listed as a resource', async (t) => {
  const created = await call('POST', 'repositories', { name: 'team/one.git', defaultBranch: 'trunk', denyDeletes: true });
  t.is(created.status, 201);
  t.like(created.json, { name: 'team/one', state: 'ready', defaultBranch: 'trunk', denyDeletes: true, intendedFactor: null, trashedAt: null });
  t.deepEqual((await call('GET', 'repositories/team/one')).json, created.json);
  await call('POST', 'repositories', { name: 'team/two' });
  const first = (await call('GET', 'repositories?limit=1')).json;
  t.deepEqual(first.items, [created.json]);
  const second = (await call('GET', `repositories?limit=1&after=${encodeURIComponent(first.next)}`)).json;
  t.deepEqual([second.items[0].name, second.next], ['team/two', null]);
});

test('names that differ in case only are refused, at a creation and at a rename, and the answer names the one there is', async (t) => {
  await cluster.create('Case/One');
  await cluster.create('case-two');
  await refused(t, ['POST', 'repositories', { name: 'case/ONE' }], 409, 'repository_exists', { name: 'case/ONE', existing: 'Case/One' });
  t.is((await fetch(`${cluster.url}/api/repos/CASE/ONE`, { method: 'POST' })).status, 409);
  await refused(t, ['PATCH', 'repositories/case-two', { name: 'CASE/one' }], 409, 'repository_exists', { existing: 'Case/One' });
  t.is((await call('PATCH', 'repositories/case-two', { name: 'Case-Two' })).status, 200);
  await expectNothingLeft(cluster);
});

test('a rename is seen at once, and a push that has begun under the old name ends well', async (t) => {
  const repository = await PushedRepository.create(cluster, 'rename-old');
  await cluster.arm('controller', 'decide-begin', 'delay 600');
  const push = repository.push();
  await until(() => cluster.struck('controller', 'decide-begin'), PATIENCE_MS, () => 'the push never came to its decision');
  const renamed = await call('PATCH', 'repositories/rename-old', { name: 'rename/new' });
  t.like(renamed.json, { name: 'rename/new' });
  t.is((await push).code, 0, (await push).stderr);
  t.not((await repository.work.tryGit('ls-remote', cluster.gitUrl('rename-old'))).code, 0);
  t.is((await repository.work.git('ls-remote', cluster.gitUrl('rename/new'), 'main')).split('\t')[0], (await push).tip);
  await refused(t, ['PATCH', 'repositories/rename-old', { name: 'x' }], 404, 'repository_not_found');
  await expectEqualReplicas(cluster, 'rename/new');
});

test('a policy holds for the next push', async (t) => {
  const repository = await PushedRepository.create(cluster, 'policy');
  await repository.work.git('push', '-q', 'origin', 'main:other');
  t.like((await call('PATCH', 'repositories/policy', { denyDeletes: true })).json, { denyDeletes: true, denyNonFastForwards: false });
  const deletion = await repository.work.tryGit('push', 'origin', ':other');
  t.regex(deletion.stderr, /deletion prohibited/);
  await call('PATCH', 'repositories/policy', { denyDeletes: false, denyNonFastForwards: true });
  t.is((await repository.work.tryGit('push', 'origin', ':other')).code, 0);
});

test('a replication factor larger than the cluster is refused and changes nothing; a smaller one holds at once', async (t) => {
  await cluster.create('factor');
  await refused(t, ['PATCH', 'repositories/factor', { replicationFactor: 4, denyDeletes: true }], 503, 'not_enough_nodes', { needed: 4, nodes: 3 });
  t.like((await call('GET', 'repositories/factor')).json, { replicationFactor: 3, intendedFactor: null, denyDeletes: false });
  t.like((await call('PATCH', 'repositories/factor', { replicationFactor: 1 })).json, { replicationFactor: 1, intendedFactor: null });
  t.like((await call('PATCH', 'repositories/factor', { replicationFactor: 2 })).json, { replicationFactor: 1, intendedFactor: 2 });
});

test('the default branch changes on every replica at once, as a push does, and clones see it', async (t) => {
  const repository = await PushedRepository.create(cluster, 'branches');
  await repository.work.git('push', '-q', 'origin', 'main:refs/heads/trunk');
  const { generation } = await cluster.show('branches');
  const changed = await call('PATCH', 'repositories/branches', { defaultBranch: 'trunk' });
  t.like(changed.json, { defaultBranch: 'trunk', generation: generation + 1 });
  t.deepEqual(await symbolicHeads('branches'), Array(3).fill('refs/heads/trunk'));
  await expectEqualReplicas(cluster, 'branches');
  t.regex(await repository.work.git('ls-remote', '--symref', 'origin', 'HEAD'), /^ref: refs\/heads\/trunk\tHEAD/);
  t.is((await repository.work.tryGit('push', 'origin', ':main')).code, 0, 'what was the default branch is one like any other');
  t.regex((await repository.work.tryGit('push', 'origin', ':trunk')).stderr, /deletion of the current branch prohibited/);
  t.is((await call('PATCH', 'repositories/branches', { defaultBranch: 'trunk' })).json.generation, generation + 2, 'what it is already moves nothing');
  await refused(t, ['PATCH', 'repositories/branches', { defaultBranch: 'nowhere' }], 409, 'branch_not_found', { branch: 'refs/heads/nowhere' });
  await refused(t, ['PATCH', 'repositories/branches', { defaultBranch: 'trunk', denyDeletes: true }], 400, 'bad_request');
  const verified = await (await fetch(`${cluster.url}/api/v1/verifications`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"repository":"branches"}' })).json() as any;
  t.true(verified.replicas.every(({ result }: any) => result === 'equal'));
});

test('an empty repository may have any default branch, and a replica that missed the change is repaired', async (t) => {
  await cluster.create('unborn');
  await cluster.signal('node2', 'SIGSTOP');
  const changed = await call('PATCH', 'repositories/unborn', { defaultBranch: 'stem' });
  await cluster.signal('node2', 'SIGCONT');
  t.like(changed.json, { defaultBranch: 'stem', generation: 1 });
  t.deepEqual(await symbolicHeads('unborn'), Array(3).fill('refs/heads/stem'));
});

test('a deleted repository is gone for git at once, is in the trash with its name, and comes back whole', async (t) => {
  const repository = await PushedRepository.create(cluster, 'bin-one');
  const before = await cluster.show('bin-one');
  const deleted = await call('DELETE', 'repositories/bin-one');
  t.like(deleted.json, { id: before.id, name: 'bin-one', state: 'trashed', generation: 1 });
  t.true(new Date(deleted.json.expiresAt).getTime() - new Date(deleted.json.trashedAt).getTime() === 7 * 86_400_000);
  t.is((await repository.pushAgain()).code, 128);
  t.not((await repository.work.tryGit('ls-remote', 'origin')).code, 0);
  await refused(t, ['DELETE', 'repositories/bin-one'], 404, 'repository_not_found');
  t.deepEqual((await call('GET', 'trash')).json.items.find((item: any) => item.id === before.id), deleted.json);
  await cluster.create('Bin-One');
  await refused(t, ['POST', `trash/${before.id}/restore`], 409, 'repository_exists', { existing: 'Bin-One' });
  const restored = await call('POST', `trash/${before.id}/restore`, { name: 'bin/back' });
  t.like(restored.json, { id: before.id, name: 'bin/back', state: 'ready', generation: 1, digest: before.digest, trashedAt: null });
  t.deepEqual((await call('GET', 'trash')).json, { items: [], next: null });
  t.is((await expectEqualReplicas(cluster, 'bin/back')).get('refs/heads/main'), repository.acknowledged.at(-1));
  await refused(t, ['POST', `trash/${before.id}/restore`], 404, 'repository_not_found');
});

test('a push that is under way when its repository is deleted fails with a clear text, and leaves nothing', async (t) => {
  const repository = await PushedRepository.create(cluster, 'bin-race');
  const { id, generation } = await cluster.show('bin-race');
  await cluster.arm('controller', 'decide-begin', 'delay 600');
  const push = repository.push();
  await until(() => cluster.struck('controller', 'decide-begin'), PATIENCE_MS, () => 'the push never came to its decision');
  t.is((await call('DELETE', 'repositories/bin-race')).status, 200);
  const { code, stderr } = await push;
  t.not(code, 0);
  t.regex(stderr, /no such repository/);
  await call('POST', `trash/${id}/restore`);
  t.is((await cluster.show('bin-race')).generation, generation);
  await repository.expectSettledAt(repository.acknowledged.at(-1));
});

test('what is purged is gone from all disks, and only what is in the trash can be', async (t) => {
  await PushedRepository.create(cluster, 'bin-gone');
  const { id } = await cluster.show('bin-gone');
  const directories = await Promise.all(cluster.nodeNames().map((node) => cluster.replicaDirectory('bin-gone', node)));
  await refused(t, ['DELETE', `trash/${id}`], 404, 'repository_not_found');
  await call('DELETE', 'repositories/bin-gone');
  t.true(directories.every((directory) => existsSync(directory)));
  t.like((await call('DELETE', `trash/${id}`)).json, { id, name: 'bin-gone' });
  await refused(t, ['POST', `trash/${id}/restore`], 404, 'repository_not_found');
  await until(() => !directories.some((directory) => existsSync(directory)), PATIENCE_MS, () => 'a replica is still on a disk');
  await expectNothingLeft(cluster);
});
