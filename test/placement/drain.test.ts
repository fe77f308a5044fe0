import { existsSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { runCli } from '../../controller/cli/run-cli.ts';
import { Cluster, expectEqualReplicas, expectNothingLeft, PATIENCE_MS, until } from '../cluster.ts';
import { PushedRepository } from '../faults/pushed-repository.ts';
import { EAGER, showNode, untilNode, untilOn, wish } from './operator.ts';

test('a node of five is drained under pushes, none of which fails, and is refused once it is removed', async (t) => {
  const cluster = await Cluster.start({ nodes: 5, environment: EAGER });
  t.teardown(() => cluster.stop());
  const repositories = await Promise.all(['one', 'two', 'three', 'four'].map((name) => PushedRepository.create(cluster, name)));
  const { node } = (await cluster.show('one')).replicas[0]!;
  t.like(await wish(cluster, node, 'remove'), { status: 409, json: { code: 'node_needed', fields: { problem: 'drain it first' } } });

  const cli = async (...args: string[]) => runCli(['nodes', ...args], { url: cluster.url });
  const listed = await cli('list');
  t.is(listed.code, 0, listed.stdout);
  t.regex(listed.stdout, /^node5 +active /m);

  let pushing = true;
  const pushes = Promise.all(repositories.map(async (repository) => { while (pushing) await repository.mustPush(); }));
  const drained = await cli('drain', node, '--watch').finally(() => { pushing = false; });
  t.is(drained.code, 0, drained.stderr);
  t.regex(drained.stdout, new RegExp(`^${node} is drained`));
  t.is((await showNode(cluster, node)).state, 'drained');
  await pushes;
  for (const repository of repositories) {
    const { replicas } = await cluster.show(repository.name);
    t.is(replicas.length, 3);
    t.false(replicas.some((replica) => replica.node === node));
    const refs = await expectEqualReplicas(cluster, repository.name);
    t.is(refs.get('refs/heads/main'), repository.acknowledged.at(-1));
    t.false(existsSync(await cluster.replicaDirectory(repository.name, node)), 'its copies are deleted');
  }
  await expectNothingLeft(cluster);

  t.like(await cli('remove', node), { code: 0, stdout: `${node} is removed.\n` });
  t.regex((await cli('show', node)).stdout, /^state +removed$/m);
  await cluster.signal(node, 'SIGTERM');
  await t.throwsAsync(cluster.startPart(node), { message: /the node was removed from the cluster; an operator may take it back \(node_removed\)/ });
  t.is((await wish(cluster, node, 'activate')).status, 200);
  await cluster.startPart(node);
  await untilNode(cluster, node, ({ state }) => state === 'active');
});

test('a quiesced node is not read from, takes part in pushes, and needs no repair after a restart', async (t) => {
  const cluster = await Cluster.start({ nodes: 3, environment: EAGER });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'quiet');
  const reads = async () => [...(await cluster.metrics('controller')).matchAll(/^trivet_reads_total\{node="node2".*outcome="ok".*\} (\d+)$/gm)]
    .reduce((sum, [, count]) => sum + Number(count), 0);
  await wish(cluster, 'node2', 'quiesce');
  const before = await reads();
  for (let i = 0; i < 12; i++) await repository.remoteTip();
  t.is(await reads(), before);
  await repository.mustPush();
  await cluster.converged('quiet');
  await cluster.signal('node2', 'SIGTERM');
  t.is((await cluster.show('quiet')).replicas.length, 3);
  await cluster.startPart('node2');
  await untilNode(cluster, 'node2', ({ state }) => state === 'quiesced');
  t.is((await showNode(cluster, 'node2')).replicas['current'], 1, 'nothing is to be repaired');
  // The last resort.
  for (const other of ['node1', 'node3']) await cluster.signal(other, 'SIGKILL');
  t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  t.true(await reads() > before);
});

test('replicas are kept in different zones, also those of a repository from before there were zones', async (t) => {
  const cluster = await Cluster.start({ nodes: 4, environment: { ...EAGER, TRIVET_REPLICATION_FACTOR: '2' } });
  t.teardown(() => cluster.stop());
  const zones: Record<string, string> = { node1: 'a', node2: 'a', node3: 'a', node4: 'b' };
  // Made on two of them while node4 isn't there.
  await cluster.signal('node4', 'SIGTERM');
  const old = await PushedRepository.create(cluster, 'old', { replicationFactor: 2 });
  for (const node of ['node1', 'node2', 'node3']) await cluster.signal(node, 'SIGTERM');
  for (const [node, zone] of Object.entries(zones)) await cluster.startPart(node, { TRIVET_ZONE: zone });
  await untilOn(cluster, 'old', (nodes) => nodes.length === 2 && nodes.includes('node4'));
  t.is((await expectEqualReplicas(cluster, 'old')).get('refs/heads/main'), old.acknowledged.at(-1));
  for (let i = 0; i < 6; i++) {
    const { replicas } = await cluster.create(`new${i}`, { replicationFactor: 2 });
    t.true(replicas.some(({ node }) => node === 'node4'), JSON.stringify(replicas));
  }
});

test('a factor larger than the cluster is refused, and says how many nodes there are', async (t) => {
  const cluster = await Cluster.start({ nodes: 3 });
  t.teardown(() => cluster.stop());
  const response = await fetch(`${cluster.url}/api/repos/large`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"replicationFactor":5}' });
  t.is(response.status, 503);
  t.like(await response.json(), { code: 'not_enough_nodes', fields: { needed: 5, nodes: 3 } });
  t.is((await fetch(`${cluster.url}/api/repos/large`)).status, 404);
  t.deepEqual(await Promise.all(cluster.nodeNames().map(async (node) => existsSync(join(cluster.directory, 'data', node, 'repositories', 'large')))), [false, false, false]);
  await until(async () => (await showNode(cluster, 'node1')).state === 'active', PATIENCE_MS, () => 'node1 is not active');
});
