import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest, { type ExecutionContext } from 'ava';
import { makeSource, refsOf, serveFiles } from '../../replica/imports/source-repository.ts';
import { Cluster, expectEqualReplicas, expectNothingLeft, PATIENCE_MS, until } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { PushedRepository, untilHealthy } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
let root: string;
anyTest.before(async () => {
  root = await mkdtemp(join(tmpdir(), 'trivet-sources-'));
  cluster = await Cluster.start({
    environment: {
      TRIVET_IMPORT_DIRECTORY: root, TRIVET_IMPORT_PRIVATE: 'true', TRIVET_REPAIR_LEASE_MS: '1000', TRIVET_VOTE_EXPIRY_MS: '2000',
      // What a creation left is looked for soon, and as often as disks are listed.
      TRIVET_UNKNOWN_AFTER_MS: '3000', TRIVET_VERIFY_INTERVAL_MS: '2000',
    },
  });
});
anyTest.after.always(async () => {
  await cluster?.stop();
  await rm(root, { recursive: true, force: true });
});

interface Call { method: string; path: string; body?: object }

async function call({ method, path, body }: Call): Promise<{ status: number; json: any }> {
  const response = await fetch(`${cluster.url}/api/v1/${path}`, { method, ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  return { status: response.status, json: await response.json() };
}

const show = async (name: string) => (await call({ method: 'GET', path: `repositories/${name}` })).json;
const trashed = async (id: string) => (await call({ method: 'GET', path: 'trash' })).json.items.find((item: any) => item.id === id);

/** Asks for something that kills the controller on its way, and starts the controller again. */
async function killed(t: ExecutionContext, failpoint: string, asked: Call): Promise<void> {
  await cluster.arm('controller', failpoint, 'kill');
  await call(asked).catch(() => {});
  await until(() => cluster.struck('controller', failpoint), PATIENCE_MS, () => `the controller never came to ${failpoint}`);
  await cluster.waitUntilGone('controller');
  await cluster.startPart('controller');
  for (const node of cluster.nodeNames()) await untilHealthy(cluster, node, true);
  t.true(cluster.struck('controller', failpoint));
}

/** Fails unless the nodes have the directories of the repositories there are, in the trash or not, and nothing else. */
async function expectNothingElse(): Promise<void> {
  let wrong: string[] = [];
  await until(async () => {
    const lists = await Promise.all(['repositories?limit=1000', 'trash?limit=1000'].map(async (path) => (await call({ method: 'GET', path })).json.items));
    const repositories = lists.flat() as { id: string; replicas: { node: string }[] }[];
    wrong = [];
    for (const node of cluster.nodeNames()) {
      const data = join(cluster.directory, 'data', node);
      const known = new Set(repositories.filter(({ replicas }) => replicas.some((replica) => replica.node === node)).map(({ id }) => id));
      const shards = await readdir(join(data, 'repositories'));
      const found = (await Promise.all(shards.map((shard) => readdir(join(data, 'repositories', shard))))).flat().map((name) => name.replace(/\.git$/, ''));
      wrong.push(...found.filter((id) => !known.has(id)).map((id) => `${node} has ${id}`), ...[...known].filter((id) => !found.includes(id)).map((id) => `${node} lacks ${id}`));
      wrong.push(...(await readdir(join(data, 'imports')).catch(() => [])).map((name) => `${node} has imports/${name}`));
    }
    return wrong.length === 0;
  }, PATIENCE_MS, () => wrong.join('\n'));
  await expectNothingLeft(cluster);
}

for (const [failpoint, status] of [['create-made', 404], ['create-recorded', 200]] as const) {
  test(`create, the controller dying at ${failpoint}: ${status === 200 ? 'it is there' : 'nothing is left'}, and the name can be used`, async (t) => {
    await killed(t, failpoint, { method: 'POST', path: 'repositories', body: { name: failpoint } });
    t.is((await call({ method: 'GET', path: `repositories/${failpoint}` })).status, status);
    await expectNothingElse();
    if (status === 404) t.is((await call({ method: 'POST', path: 'repositories', body: { name: failpoint } })).status, 201);
    await cluster.converged(failpoint);
  });
}

for (const [failpoint, done] of [['change-begin', false], ['change-end', true]] as const) {
  test(`rename, policy and replication factor, the controller dying at ${failpoint}: all of it is ${done ? 'done' : 'as it was'}`, async (t) => {
    const repository = await PushedRepository.create(cluster, `old-${failpoint}`);
    await killed(t, failpoint, { method: 'PATCH', path: `repositories/old-${failpoint}`, body: { name: `new-${failpoint}`, replicationFactor: 2, denyDeletes: true } });
    const now = done ? `new-${failpoint}` : `old-${failpoint}`;
    t.like(await show(now), { replicationFactor: done ? 2 : 3, denyDeletes: done });
    t.is((await call({ method: 'GET', path: `repositories/${done ? 'old' : 'new'}-${failpoint}` })).status, 404);
    t.is((await expectEqualReplicas(cluster, now)).get('refs/heads/main'), repository.acknowledged.at(-1));
    await expectNothingElse();
  });
}

for (const [failpoint, branch] of [['vote-end', 'main'], ['decide-begin', 'main'], ['decide-end', 'trunk'], ['commit-end', 'trunk']] as const) {
  test(`default branch, the controller dying at ${failpoint}: it is ${branch} on every replica`, async (t) => {
    const name = `head-${failpoint}`;
    const repository = await PushedRepository.create(cluster, name);
    await repository.work.git('push', '-q', 'origin', 'main:refs/heads/trunk');
    await killed(t, failpoint, { method: 'PATCH', path: `repositories/${name}`, body: { defaultBranch: 'trunk' } });
    await repository.expectSettledAt();
    t.is((await show(name)).defaultBranch, branch);
    for (const node of cluster.nodeNames()) {
      t.is((await runGit(await cluster.replicaDirectory(name, node), ['symbolic-ref', 'HEAD'])).stdout.trim(), `refs/heads/${branch}`);
    }
    t.is((await call({ method: 'PATCH', path: `repositories/${name}`, body: { defaultBranch: 'trunk' } })).json.defaultBranch, 'trunk');
    await expectNothingElse();
  });
}

test('default branch, a node dying with its promise: it has the new one when it is back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'head-node');
  await repository.work.git('push', '-q', 'origin', 'main:refs/heads/trunk');
  await cluster.arm('node2', 'commit-begin', 'kill');
  t.is((await call({ method: 'PATCH', path: 'repositories/head-node', body: { defaultBranch: 'trunk' } })).json.defaultBranch, 'trunk');
  await cluster.waitUntilGone('node2');
  await cluster.startPart('node2');
  await untilHealthy(cluster, 'node2', true);
  await repository.expectSettledAt();
  t.is((await runGit(await cluster.replicaDirectory('head-node', 'node2'), ['symbolic-ref', 'HEAD'])).stdout.trim(), 'refs/heads/trunk');
});

test('delete, restore and purge, the controller dying before and after each: it is done or it is not, and nothing else is left', async (t) => {
  const repository = await PushedRepository.create(cluster, 'bin');
  const { id } = await show('bin');
  const deleted = { method: 'DELETE', path: 'repositories/bin' };
  const restored = { method: 'POST', path: `trash/${id}/restore`, body: {} };
  const purged = { method: 'DELETE', path: `trash/${id}` };
  await killed(t, 'trash-begin', deleted);
  t.is((await show('bin')).state, 'ready');
  await repository.mustPush();
  await killed(t, 'trash-end', deleted);
  t.like(await trashed(id), { name: 'bin', generation: 2 });
  await expectNothingElse();
  await killed(t, 'restore-begin', restored);
  t.like(await trashed(id), { name: 'bin', generation: 2 });
  await killed(t, 'restore-end', restored);
  await repository.expectSettledAt();
  await call(deleted);
  await killed(t, 'purge-begin', purged);
  t.like(await trashed(id), { name: 'bin', generation: 2 });
  await killed(t, 'purge-end', purged);
  t.is(await trashed(id), undefined);
  await expectNothingElse();
});

for (const failpoint of ['import-claimed', 'import-fetched', 'decide-begin', 'decide-end', 'import-pushed']) {
  test(`import, the controller dying at ${failpoint}: it is gone on with, and filled once`, async (t) => {
    const path = makeSource(join(root, `${failpoint}.git`), 50_000);
    const name = `import-${failpoint}`;
    await killed(t, failpoint, { method: 'POST', path: 'imports', body: { name, source: `node1:${path}` } });
    await until(async () => (await show(name)).state === 'ready', PATIENCE_MS, () => 'the import does not end');
    t.deepEqual(await expectEqualReplicas(cluster, name), refsOf(path));
    t.like(await show(name), { generation: 1, defaultBranch: 'trunk' });
    const [last] = (await call({ method: 'GET', path: 'imports?limit=1' })).json.items;
    t.like(last, { state: 'done', attempt: 2, repository: name });
    await expectNothingElse();
  });
}

test('import, the node that fetches dying: what it had is removed at its next start, and another attempt ends well', async (t) => {
  const path = makeSource(join(root, 'node-dies.git'), 50_000);
  let held: (() => void) | undefined;
  const url = await serveFiles(t, root, (file) => (file.endsWith('.pack') && held === undefined ? new Promise((go) => { held = go; }) : Promise.resolve()));
  const { json } = await call({ method: 'POST', path: 'imports', body: { name: 'node-dies', source: `${url}/node-dies.git` } });
  await until(() => held !== undefined, PATIENCE_MS, () => 'nobody asks for the pack');
  const { node } = (await call({ method: 'GET', path: `imports/${json.id}` })).json;
  t.is((await readdir(join(cluster.directory, 'data', node, 'imports'))).length, 1);
  await cluster.signal(node, 'SIGKILL');
  held!();
  await until(async () => (await show('node-dies')).state === 'ready', PATIENCE_MS, () => 'the import does not end');
  await cluster.startPart(node);
  await untilHealthy(cluster, node, true);
  t.deepEqual(await expectEqualReplicas(cluster, 'node-dies'), refsOf(path));
  await expectNothingElse();
});
