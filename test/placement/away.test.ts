import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { Cluster, expectEqualReplicas, freePorts, PATIENCE_MS, until } from '../cluster.ts';
import { PushedRepository } from '../faults/pushed-repository.ts';
import { EAGER, untilNode, untilOn, wish } from './operator.ts';

const ROOT = resolve(import.meta.dirname, '../..');

test('what was on a node that stays away is rebuilt elsewhere; when it comes back its surplus copies go, and nothing is lost', async (t) => {
  const cluster = await Cluster.start({ nodes: 4, environment: EAGER });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'moved');
  const { node } = (await cluster.show('moved')).replicas[0]!;
  const copy = await cluster.replicaDirectory('moved', node);
  await cluster.signal(node, 'SIGKILL');
  await repository.mustPush();
  const nodes = await untilOn(cluster, 'moved', (on) => on.length === 3 && !on.includes(node));
  t.true(existsSync(copy));
  await repository.mustPush();
  await cluster.startPart(node);
  await untilNode(cluster, node, ({ state, removals }) => state === 'active' && removals === 0);
  await until(() => !existsSync(copy), PATIENCE_MS, () => 'the surplus copy is still there');
  t.deepEqual(await untilOn(cluster, 'moved', (on) => on.length === 3), nodes);
  t.is((await expectEqualReplicas(cluster, 'moved')).get('refs/heads/main'), repository.acknowledged.at(-1));
  const findings = await (await fetch(`${cluster.url}/api/v1/findings?open=true`)).json() as { items: { kind: string }[] };
  t.deepEqual(findings.items.filter(({ kind }) => kind === 'unknown'), []);
});

test('a dead node is removed by force, but not while it has the only newest replica, nor while it lives', async (t) => {
  const cluster = await Cluster.start({ nodes: 3, environment: { TRIVET_NODE_AWAY_MS: '600000' } });
  t.teardown(() => cluster.stop());
  await PushedRepository.create(cluster, 'shared');
  await PushedRepository.create(cluster, 'single', { replicationFactor: 1 });
  const { node } = (await cluster.show('single')).replicas[0]!;
  const other = cluster.nodeNames().find((name) => name !== node)!;
  t.like(await wish(cluster, node, 'remove', { force: true }), { status: 409, json: { fields: { problem: 'it lives: drain it' } } });
  for (const dead of [node, other]) await cluster.signal(dead, 'SIGKILL');
  const removed = async (name: string) => {
    let answer = await wish(cluster, name, 'remove', { force: true });
    await until(async () => {
      answer = await wish(cluster, name, 'remove', { force: true });
      return (answer.json as { fields?: { problem?: string } }).fields?.problem !== 'it lives: drain it';
    }, PATIENCE_MS, () => `${name} is still thought to live`);
    return answer;
  };
  t.like(await removed(node), { status: 409, json: { code: 'node_needed', fields: { repositories: 1 } } });
  t.is((await cluster.show('single')).replicas.length, 1);
  t.like(await removed(other), { status: 200, json: { state: 'removed' } });
});

test('a second process under a node\'s name ends with a clear error, and nothing changes for the first', async (t) => {
  const cluster = await Cluster.start({ nodes: 3 });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'one');
  const directory = join(cluster.directory, 'second');
  const second = await startSecond(t, cluster, 'node1', directory);
  t.is(await second.ended, 1);
  t.regex(second.errors(), /another process runs under the name of this node \(node_id_in_use\)/);
  t.is((await untilNode(cluster, 'node1', ({ state }) => state === 'active')).replicas['current'], 1);
  await repository.mustPush();
  await cluster.converged('one');

  // Control: once the first is gone, the same is let in, with a copy of its disk.
  await cluster.signal('node1', 'SIGTERM');
  await rm(directory, { recursive: true, force: true });
  await cp(join(cluster.directory, 'data', 'node1'), directory, { recursive: true });
  const third = await startSecond(t, cluster, 'node1', directory);
  await until(async () => (await fetch(`${third.url}/readyz`).catch(() => undefined))?.status === 200, PATIENCE_MS, () => `it is not let in: ${third.errors()}`);
});

/** Another process that says it is this node, on a port and a directory of its own. */
async function startSecond(t: ExecutionContext, cluster: Cluster, node: string, directory: string) {
  const port = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, ['replica/main.ts'], {
    cwd: ROOT, stdio: ['ignore', 'ignore', 'pipe'], env: {
      ...process.env, TRIVET_NODE: node, TRIVET_HOST: '127.0.0.1', TRIVET_PORT: String(port), TRIVET_URL: url, TRIVET_CONTROLLERS: cluster.url,
      TRIVET_TOKEN: await cluster.token(), TRIVET_DIRECTORY: directory,
    },
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const ended = new Promise<number | null>((done) => { child.once('exit', done); });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  return { url, ended, errors: () => errors };
}
