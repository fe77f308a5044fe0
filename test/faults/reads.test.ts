import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request, type IncomingMessage } from 'node:http';
import { join } from 'node:path';
import anyTest from 'ava';
import { GENERATION_HEADER } from '@trivet/proto/messages.ts';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';
import { Cluster, until, PATIENCE_MS } from '../cluster.ts';
import { PushedRepository, sample, untilReplica, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // Heartbeats so rare that a dead node is noticed by the read that meets it.
  cluster = await Cluster.start({ environment: { TRIVET_HEARTBEAT_MS: '600000', TRIVET_COMMIT_GRACE_MS: '300', TRIVET_CATCH_UP_MS: '20000' } });
});
anyTest.after.always(() => cluster?.stop());

test('a node waits with a read for the commit in flight that the read must see, and answers with it', async (t) => {
  const repository = await PushedRepository.create(cluster, 'waits');
  const { id } = await cluster.show('waits');
  await cluster.arm('node1', 'commit-begin', 'delay 1500');
  const pushed = repository.mustPush();
  await untilStruck(cluster, 'node1', 'commit-begin');
  t.is(await refOf('node1', id, 1), repository.acknowledged[0], 'control: a read that asks for no more gets what is there at once');
  const tip = await refOf('node1', id, 2);
  t.is(tip, await pushed);
  await repository.expectSettledAt();
});

test('a node refuses a read that it can not serve in time, and names both generations', async (t) => {
  await PushedRepository.create(cluster, 'refuses');
  const { id } = await cluster.show('refuses');
  await cluster.signal('node1', 'SIGKILL');
  await cluster.startPart('node1', { TRIVET_CATCH_UP_MS: '1' });
  const response = await askNode('node1', id, 2);
  t.is(response.status, 409);
  const { code, fields } = await response.json() as { code: string; fields: object };
  t.is(code, 'replica_behind');
  t.like(fields, { asked: 2, holds: 1 });
});

test('a node that has not committed in time is not read from until it has caught up', async (t) => {
  const repository = await PushedRepository.create(cluster, 'held-back');
  await cluster.arm('node2', 'commit-begin', 'stop');
  await repository.mustPush();
  // Its repair may have been begun, and waits for the node like everybody else.
  t.not(await untilReplica(cluster, 'held-back', 'node2', ['outdated', 'repairing', 'current']), 'current');
  const asked = await sample(cluster, 'controller', 'trivet_reads_total', { node: 'node2' });
  for (let i = 0; i < 6; i++) t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  t.is(await sample(cluster, 'controller', 'trivet_reads_total', { node: 'node2' }), asked);
  await cluster.signal('node2', 'SIGCONT');
  await repository.expectSettledAt();
});

test('a read that meets a node that is gone goes on to the next without the client noticing, and says why', async (t) => {
  const repository = await PushedRepository.create(cluster, 'failover');
  const failovers = () => sample(cluster, 'controller', 'trivet_reads_total', { reason: 'failover', outcome: 'ok' });
  const before = await failovers();
  // A process that ends is missed at once, for its lifeline breaks; one that only stops is met.
  await cluster.signal('node3', 'SIGSTOP');
  // Equal nodes take turns, so that one of the first reads meets it.
  await until(async () => {
    t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
    return await failovers() > before;
  }, PATIENCE_MS, () => 'no read ever met the dead node');
  await cluster.signal('node3', 'SIGKILL');
  await repository.work.git('clone', '-q', cluster.gitUrl('failover'), join(repository.work.path, 'clone'));
  t.true(await sample(cluster, 'controller', 'trivet_reads_total', { node: 'node3', outcome: 'failed' }) >= 1);
  await cluster.startPart('node3');
  await repository.expectSettledAt();
});

test('the reason of every read is counted: the only current one, the lowest score, or a turn among equals', async (t) => {
  const repository = await PushedRepository.create(cluster, 'reasons');
  const counted = (reason: string) => sample(cluster, 'controller', 'trivet_reads_total', { reason, outcome: 'ok' });
  const chosen = async () => await counted('equal_scores') + await counted('lowest_score');
  const before = await chosen();
  await repository.remoteTip();
  t.true(await chosen() > before);
  await cluster.create('alone', { replicationFactor: 1 });
  const only = await counted('only_current');
  const listing = await repository.work.tryGit('ls-remote', cluster.gitUrl('alone'));
  t.is(listing.code, 0);
  t.true(await counted('only_current') > only);
});

test('readers beside a stream of pushes always see the last acknowledged one', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stream');
  let pushing = true;
  let reads = 0;
  const readers = Array.from({ length: 3 }, async () => {
    while (pushing) {
      const acknowledged = repository.acknowledged.length;
      const tip = (await repository.remoteTip())!;
      reads += 1;
      // Either it was acknowledged (not before the last one of then), or it is the one in flight.
      const at = repository.acknowledged.indexOf(tip);
      t.true(at === -1 || at >= acknowledged - 1, `a read went back to push ${at} after ${acknowledged} were acknowledged`);
      if (at === -1) t.is(tip, await repository.work.git('rev-parse', 'main'));
    }
  });
  for (let i = 0; i < 12; i++) await repository.mustPush();
  pushing = false;
  await Promise.all(readers);
  t.true(reads >= 6);
  await repository.expectSettledAt();
});

test('clones beside a stream of pushes are whole, and none is older than the last acknowledged push', async (t) => {
  const repository = await PushedRepository.create(cluster, 'clones');
  let pushing = true;
  const cloner = async (name: string) => {
    for (let i = 0; pushing; i++) {
      const last = repository.acknowledged.at(-1)!;
      const target = join(repository.work.path, '..', `${name}-${i}`);
      await repository.work.git('clone', '-q', cluster.gitUrl('clones'), target);
      await repository.work.git('-C', target, 'merge-base', '--is-ancestor', last, 'origin/main');
      await repository.work.git('-C', target, 'fsck', '--strict');
    }
  };
  const cloners = ['x', 'y'].map(cloner);
  for (let i = 0; i < 8; i++) await repository.mustPush();
  pushing = false;
  await t.notThrowsAsync(Promise.all(cloners));
  await repository.expectSettledAt();
});

test('a clone whose node dies half-way breaks off and never ends as if it were whole', async (t) => {
  const repository = await PushedRepository.create(cluster, 'half-way');
  const tip = await repository.work.commit('large', { 'large.bin': randomBytes(10 * 1024 * 1024).toString('latin1') });
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
  const before = await readsByNode();
  const clone = request(`${cluster.gitUrl('half-way')}/git-upload-pack`, {
    method: 'POST', agent: false, headers: { 'content-type': 'application/x-git-upload-pack-request' },
  });
  clone.end(Buffer.concat([encodePacket(`want ${tip} side-band-64k ofs-delta agent=test\n`), FLUSH, encodePacket('done\n')]));
  const [response] = await once(clone, 'response') as [IncomingMessage];
  await once(response, 'readable');
  // It has begun, and what the client doesn't take stays with the node.
  const after = await readsByNode();
  const node = cluster.nodeNames().find((name) => after.get(name)! > before.get(name)!)!;
  await cluster.signal(node, 'SIGKILL');
  await t.throwsAsync(async () => { for await (const _ of response); }, { code: 'ECONNRESET' });
  await cluster.startPart(node);
  await repository.expectSettledAt();
});

async function readsByNode(): Promise<Map<string, number>> {
  const entries = cluster.nodeNames().map(async (node) => [node, await sample(cluster, 'controller', 'trivet_reads_total', { node, outcome: 'ok' })] as const);
  return new Map(await Promise.all(entries));
}

/** Asks a node for its refs as a controller does. */
async function askNode(node: string, repository: string, generation: number): Promise<Response> {
  return fetch(`${cluster.partUrl(node)}/repositories/${repository}/info/refs?service=git-upload-pack`, {
    headers: { authorization: `Bearer ${await cluster.token()}`, [GENERATION_HEADER]: String(generation) },
  });
}

/** What a node shows `main` at. */
async function refOf(node: string, repository: string, generation: number): Promise<string | undefined> {
  const response = await askNode(node, repository, generation);
  return /([0-9a-f]{40}) refs\/heads\/main/.exec(await response.text())?.[1];
}
