import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import anyTest from 'ava';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { Cluster, isRunning, PATIENCE_MS, until } from '../cluster.ts';
import { jobs } from '../faults/operator.ts';
import { PushedRepository, sample, untilHealthy, untilStruck } from '../faults/pushed-repository.ts';
import { commandBytes, packOf, RawPush } from '../faults/raw-push.ts';

const test = anyTest.serial;
const LONG_MS = '600000';
/** More than all buffers on the way hold. */
const LARGE_BYTES = 32 * 1024 * 1024;
let cluster: Cluster;
anyTest.before(async () => {
  // Heartbeats so rare that whoever knows of a stop has heard it from the node itself.
  cluster = await Cluster.start({ environment: { TRIVET_HEARTBEAT_MS: LONG_MS } });
});
anyTest.after.always(() => cluster?.stop());

test('a node that is told to stop sees a push that it has voted on to its end, and needs no repair when it is back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'voted');
  await cluster.arm('controller', 'vote-end', 'delay 1500');
  const pushed = repository.push();
  await untilStruck(cluster, 'controller', 'vote-end');
  await cluster.signal('node1', 'SIGTERM');
  t.is((await pushed).code, 0);
  await untilEnded('node1', 0);
  await cluster.startPart('node1');
  t.deepEqual((await cluster.show('voted')).replicas.map(({ state, generation }) => [state, generation]), Array(3).fill(['current', 2]));
  t.deepEqual(await jobs(cluster, 'voted'), []);
  await repository.expectSettledAt();
});

test('control: a node that ends at once in the middle of a push misses it', async (t) => {
  const repository = await PushedRepository.create(cluster, 'missed');
  await cluster.arm('controller', 'vote-end', 'delay 1500');
  const pushed = repository.push();
  await untilStruck(cluster, 'controller', 'vote-end');
  await cluster.signal('node2', 'SIGINT');
  await cluster.waitUntilGone('node2');
  t.is((await pushed).code, 0);
  await untilEnded('node2', 130);
  await cluster.startPart('node2');
  await repository.expectSettledAt();
  t.is((await jobs(cluster, 'missed')).length, 1);
});

test('controllers know at once that a node goes, without a heartbeat, and send it nothing more', async (t) => {
  const repository = await PushedRepository.create(cluster, 'leaves');
  const before = await cluster.metrics('controller');
  await cluster.signal('node3', 'SIGTERM');
  await untilHealthy(cluster, 'node3', false);
  await repository.mustPush();
  await repository.remoteTip();
  t.is(await sample(cluster, 'controller', 'trivet_votes_lost_total', { node: 'node3' }), lostIn(before), 'no push was sent there');
  const nodes = await (await fetch(`${cluster.url}/api/nodes`)).json() as { id: string; trouble: string }[];
  t.true(['shutting_down', 'node_unreachable'].includes(nodes.find(({ id }) => id === 'node3')!.trouble));
  await cluster.startPart('node3');
  await repository.expectSettledAt();
});

test('a clone that a stopping node is sending arrives whole, and the node waits with its end for it', async (t) => {
  const repository = await PushedRepository.create(cluster, 'streamed', { replicationFactor: 1 });
  const { replicas: [replica] } = await cluster.show('streamed');
  const node = replica!.node;
  const tip = await repository.work.commit('large', { 'large.bin': randomBytes(LARGE_BYTES / 2).toString('hex') });
  t.is((await repository.pushAgain()).code, 0);
  const clone = request(`${cluster.gitUrl('streamed')}/git-upload-pack`, {
    method: 'POST', agent: false, headers: { 'content-type': 'application/x-git-upload-pack-request' },
  });
  clone.end(Buffer.concat([encodePacket(`want ${tip} side-band-64k ofs-delta agent=test\n`), FLUSH, encodePacket('done\n')]));
  const [response] = await once(clone, 'response') as [IncomingMessage];
  await once(response, 'readable');
  const pid = await cluster.signalOnly(node, 'SIGTERM');
  await untilHealthy(cluster, node, false);
  t.true(isRunning(pid));
  let bytes = 0;
  for await (const chunk of response) bytes += (chunk as Buffer).length;
  t.true(bytes > LARGE_BYTES / 2);
  await cluster.waitUntilGone(node);
  await cluster.startPart(node);
  await repository.expectSettledAt();
});

test('a controller that is told to stop says so, ends each connection with its answer, and serves until it is taken out', async (t) => {
  const repository = await PushedRepository.create(cluster, 'taken-out');
  await restartController({ TRIVET_STOP_DELAY_MS: '60000', TRIVET_HEARTBEAT_MS: LONG_MS });
  const open = await fetch(`${cluster.url}/readyz`);
  t.deepEqual([open.status, open.headers.get('connection')], [200, 'keep-alive']);
  const pid = await cluster.signalOnly('controller', 'SIGTERM');
  await until(async () => (await fetch(`${cluster.url}/readyz`)).status === 503, PATIENCE_MS, () => 'it still says that it is ready');
  t.is((await fetch(`${cluster.url}/readyz`)).headers.get('connection'), 'close');
  await repository.mustPush();
  t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  // A second one ends it at once.
  process.kill(pid, 'SIGTERM');
  await cluster.waitUntilGone('controller');
  await cluster.startPart('controller');
  await repository.expectSettledAt();
});

test('a push whose pack is still on its way when its controller is told to stop is acknowledged', async (t) => {
  const repository = await PushedRepository.create(cluster, 'on-its-way');
  const before = repository.acknowledged.at(-1)!;
  const tip = await repository.commit();
  const pack = await packOf(repository.work, tip, before);
  const push = new RawPush(cluster, 'on-its-way');
  await push.send(commandBytes('refs/heads/main', before, tip));
  const pid = await cluster.signalOnly('controller', 'SIGTERM');
  await until(async () => await fetch(`${cluster.url}/readyz`).then(() => false, () => true), PATIENCE_MS, () => 'it still takes connections');
  t.true(isRunning(pid));
  await push.send(pack);
  push.end();
  const answer = await push.answer;
  t.regex(answer.text, /unpack ok/);
  repository.acknowledged.push(tip);
  await cluster.waitUntilGone('controller');
  await cluster.startPart('controller');
  await repository.expectSettledAt();
});

test('what is not over in time is broken off, and the log says what it was', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stalled');
  const before = repository.acknowledged.at(-1)!;
  const log = await restartController({ TRIVET_STOP_MS: '300' });
  const push = new RawPush(cluster, 'stalled');
  await push.send(commandBytes('refs/heads/main', before, await repository.commit()));
  await until(async () => await sample(cluster, 'controller', 'trivet_pushes_voting') === 1, PATIENCE_MS, () => 'the push has not begun');
  await cluster.signal('controller', 'SIGTERM');
  await t.throwsAsync(push.answer);
  const line = log().split('\n').find((text) => text.includes('broken off'));
  t.like(JSON.parse(line!), { deadlineMs: 300, requests: 1, named: ['POST /git/stalled.git/git-receive-pack'], pushes: 1 });
  await cluster.startPart('controller');
  await repository.expectSettledAt();
});

/** What the launcher says comes a moment after the process is gone. */
async function untilEnded(part: string, status: number): Promise<void> {
  await until(() => cluster.output.includes(`${part} ended (`), PATIENCE_MS, () => `${part} has not ended:\n${cluster.output}`);
  if (!cluster.output.includes(`${part} ended (exit status ${status})`)) throw new Error(cluster.output);
}

function lostIn(metrics: string): number {
  return metrics.split('\n').filter((line) => line.startsWith('trivet_votes_lost_total{') && line.includes('node="node3"')).reduce((sum, line) => sum + Number(line.split(' ')[1]), 0);
}

/** @returns what the new one has logged */
async function restartController(environment: Record<string, string>): Promise<() => string> {
  await cluster.signal('controller', 'SIGTERM');
  return cluster.startPart('controller', environment);
}
