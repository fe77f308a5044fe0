import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeStatus } from '@trivet/proto/messages.ts';
import type { NodeState } from '../store/rows.ts';
import type { NodeClient } from './node-client.ts';
import { NodeRegistry, type KnownNode } from './node-registry.ts';

test('a node that has just become known is not used before it was heard of', async (t) => {
  const { registry } = await registryOf(['a']);
  t.is(registry.usable('a'), undefined);
  t.is(registry.get('a')?.trouble, 'node_starting');
});

test('a good heartbeat makes a node usable, and its status is kept', async (t) => {
  const { registry, changes } = await registryOf(['a']);
  await registry.poll();
  t.is(registry.usable('a')?.status?.node, 'a');
  t.deepEqual(changes, ['a healthy']);
  await registry.poll();
  t.deepEqual(changes, ['a healthy'], 'told once');
});

const BAD_HEARTBEATS: [name: string, answer: (node: string) => Promise<NodeStatus>, trouble: string][] = [
  ['does not answer', async () => { throw new TrivetError('node_unreachable'); }, 'node_unreachable'],
  ['has not finished its restart handshake', async (node) => ({ ...status(node), ready: false }), 'node_starting'],
  ['was told to stop', async (node) => ({ ...status(node), ready: false, stopping: true }), 'shutting_down'],
  ['is another node than it should be', async () => status('impostor'), 'internal'],
];
for (const [name, answer, trouble] of BAD_HEARTBEATS) {
  test(`a node that ${name} is not used, and the others are`, async (t) => {
    const { registry, heartbeats } = await registryOf(['a', 'b']);
    await registry.poll();
    heartbeats.set('a', answer);
    await registry.poll();
    t.is(registry.usable('a'), undefined);
    t.is(registry.get('a')?.trouble, trouble);
    t.truthy(registry.usable('b'));
  });
}

test('a suspected node is not used until its next good heartbeat', async (t) => {
  const { registry, changes } = await registryOf(['a']);
  await registry.poll();
  registry.suspect('a', 'phase_timeout');
  t.is(registry.usable('a'), undefined);
  t.is(registry.get('a')?.trouble, 'phase_timeout');
  await registry.poll();
  t.truthy(registry.usable('a'));
  t.deepEqual(changes, ['a healthy', 'a phase_timeout', 'a healthy']);
});

test('a node that can not promise is still read from', async (t) => {
  const { registry, heartbeats } = await registryOf(['a']);
  await registry.poll();
  t.truthy(registry.writable('a'));
  heartbeats.set('a', async (node) => ({ ...status(node), writable: false }));
  await registry.poll();
  t.truthy(registry.usable('a'));
  t.is(registry.writable('a'), undefined);
});

test('a suspected node is asked how it is at once, and used again when it answers', async (t) => {
  const { registry, changes } = await registryOf(['a']);
  await registry.poll();
  registry.suspect('a', 'phase_timeout');
  await new Promise((resolve) => { setImmediate(resolve); });
  t.truthy(registry.usable('a'));
  t.deepEqual(changes, ['a healthy', 'a phase_timeout', 'a healthy']);
});

test('a node that finished its handshake is used at once, without waiting for a heartbeat', async (t) => {
  const { registry } = await registryOf(['a']);
  registry.trust('a');
  t.truthy(registry.usable('a'));
});

test('a removed node is not used however healthy it is, until it is taken back', async (t) => {
  const { registry, listed } = await registryOf(['a']);
  await registry.poll();
  listed[0]!.state = 'removed';
  await registry.refresh();
  t.is(registry.usable('a'), undefined);
  t.true(registry.get('a')?.healthy);
  listed[0]!.state = 'active';
  await registry.refresh();
  t.truthy(registry.usable('a'));
});

test('a node that moved to another address starts as unknown; one that stayed keeps what was learned', async (t) => {
  const { registry, listed } = await registryOf(['a', 'b']);
  await registry.poll();
  registry.succeeded(registry.get('b')!, 100);
  const latency = registry.get('b')!.latencyMs;
  listed[0]!.url = 'http://elsewhere';
  await registry.refresh();
  t.is(registry.usable('a'), undefined);
  t.is(registry.get('a')?.client.url, 'http://elsewhere');
  t.is(registry.get('b')?.latencyMs, latency);
});

test('a node that SQL no longer lists is forgotten, and what is said of it later changes nothing', async (t) => {
  const { registry, listed } = await registryOf(['a']);
  listed.length = 0;
  await registry.refresh();
  t.deepEqual(registry.all, []);
  registry.suspect('a', 'phase_timeout');
  registry.trust('a');
  t.is(registry.get('a'), undefined);
});

test('latency follows what reads take, and errors rise with failures and fall with successes, within 0 and 1', async (t) => {
  const { registry } = await registryOf(['a']);
  const node = registry.get('a')!;
  for (let i = 0; i < 30; i++) registry.succeeded(node, 50);
  t.true(Math.abs(node.latencyMs! - 50) < 1);
  for (let i = 0; i < 30; i++) registry.suspect('a', 'node_unreachable');
  t.true(node.errorRate > 0.99 && node.errorRate <= 1);
  for (let i = 0; i < 30; i++) registry.succeeded(node, 50);
  t.true(node.errorRate >= 0 && node.errorRate < 0.01);
});

async function registryOf(ids: readonly string[]) {
  const listed = ids.map((id) => ({ id, url: `http://${id}`, state: 'active' as NodeState }));
  const heartbeats = new Map<string, (node: string) => Promise<NodeStatus>>();
  const changes: string[] = [];
  const makeClient = (node: string, url: string) => (
    { node, url, status: () => (heartbeats.get(node) ?? (async () => status(node)))(node) } as unknown as NodeClient);
  const healthChanged = (node: KnownNode) => { changes.push(`${node.id} ${node.trouble ?? 'healthy'}`); };
  const registry = new NodeRegistry({ list: async () => listed }, makeClient, { healthChanged });
  await registry.refresh();
  return { registry, listed, heartbeats, changes };
}

function status(node: string): NodeStatus {
  return {
    node, boot: '0'.repeat(32), ready: true, writable: true, loadAverage: 0, diskFreeBytes: 1, diskTotalBytes: 2,
    gitProcesses: 0, replicas: 0, promises: 0,
  };
}
