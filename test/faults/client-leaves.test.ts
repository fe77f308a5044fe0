import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { Cluster, expectNothingLeft, until, PATIENCE_MS } from '../cluster.ts';
import { PushedRepository, sample, untilStruck } from './pushed-repository.ts';
import { commandBytes, packOf, RawPush } from './raw-push.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => { cluster = await Cluster.start({ environment: { TRIVET_BODY_IDLE_MS: '1000' } }); });
anyTest.after.always(() => cluster?.stop());

for (const [name, sizeBytes, share] of [
  ['before the first byte of the pack', 1_000, 0],
  ['in the middle of a small pack', 1_000, 0.5],
  ['in the middle of a pack that streams to the nodes', 3_000_000, 0.8],
] as const) {
  test(`a client that leaves ${name} leaves nothing behind`, async (t) => {
    const repository = await PushedRepository.create(cluster, `leaves-${sizeBytes}-${share * 10}`);
    const { push, pack } = await beginPush(repository, sizeBytes);
    const gone = await goneCount();
    await push.send(pack.subarray(0, Math.floor(pack.length * share)));
    push.leave();
    await until(async () => await goneCount() > gone, PATIENCE_MS, () => 'nobody noticed that the client left');
    await repository.expectSettledAt();
    t.is((await cluster.show(repository.name)).generation, 1);
  });
}

test('a client that stops in the middle of its pack is hung up on, and nothing is left', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stops');
  const { push, pack } = await beginPush(repository, 1_000_000);
  await push.send(pack.subarray(0, pack.length / 2));
  const answer = await push.answer;
  t.is(answer.status, 408);
  await repository.expectSettledAt();
});

for (const [failpoint, where] of [['vote-end', 'after the vote'], ['prepare-begin', 'when its turn has come']] as const) {
  const fate = failpoint === 'vote-end' ? 'is dropped' : 'is finished as if the client were there';
  test(`a push whose client leaves ${where} ${fate}, and nothing is left`, async (t) => {
    const repository = await PushedRepository.create(cluster, `leaves-${failpoint}`);
    const { push, pack, tip } = await beginPush(repository, 1_000);
    await cluster.arm('controller', failpoint, 'delay 700');
    await push.send(pack);
    push.end();
    await untilStruck(cluster, 'controller', failpoint);
    push.leave();
    if (failpoint === 'vote-end') {
      // Its votes are forgotten when the turn comes; only then may nothing be left.
      await until(async () => await sample(cluster, 'controller', 'trivet_pushes_voting') === 0, PATIENCE_MS, () => 'the push never ended');
      await repository.expectSettledAt();
      t.is((await cluster.show(repository.name)).generation, 1);
    } else {
      await until(async () => (await cluster.show(repository.name)).generation === 2, PATIENCE_MS, () => 'the push was not finished');
      await repository.expectSettledAt(tip);
      t.pass();
    }
  });
}

for (const failpoint of ['decide-begin', 'decide-end'] as const) {
  test(`a push whose client leaves at ${failpoint} is committed on every node`, async (t) => {
    const repository = await PushedRepository.create(cluster, `leaves-${failpoint}`);
    const { push, pack, tip } = await beginPush(repository, 1_000);
    await cluster.arm('controller', failpoint, 'delay 500');
    await push.send(pack);
    push.end();
    await untilStruck(cluster, 'controller', failpoint);
    push.leave();
    await until(async () => (await cluster.show(repository.name)).generation === 2, PATIENCE_MS, () => 'the push was not finished');
    await repository.expectSettledAt(tip);
    t.pass();
  });
}

test('twenty clients that leave at random places leave nothing behind, and the repository takes pushes as before', async (t) => {
  const repository = await PushedRepository.create(cluster, 'twenty');
  const base = repository.acknowledged[0]!;
  const tip = await repository.work.commit('large', { 'large.txt': randomBytes(400_000).toString('base64') });
  const pack = await packOf(repository.work, tip, base);
  await Promise.all(Array.from({ length: 20 }, async (_, i) => {
    const push = new RawPush(cluster, repository.name);
    await push.send(Buffer.concat([commandBytes(`refs/heads/b${i}`, '0'.repeat(40), tip), pack.subarray(0, (pack.length * i) / 20)]));
    push.leave();
  }));
  await repository.mustPush();
  await expectNothingLeft(cluster);
  await repository.expectSettledAt();
  t.is((await cluster.show('twenty')).generation, 2);
});

test('control: the same bytes with a client that stays are a push', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stays');
  const { push, pack, tip } = await beginPush(repository, 3_000_000);
  await push.send(pack);
  push.end();
  const answer = await push.answer;
  t.is(answer.status, 200);
  t.regex(answer.text, /unpack ok/);
  t.regex(answer.text, /ok refs\/heads\/main/);
  await repository.expectSettledAt(tip);
});

/** Commits a file that doesn't compress, and sends the command that would bring it; the pack is still to come. */
async function beginPush(repository: PushedRepository, sizeBytes: number) {
  const base = await repository.work.git('rev-parse', 'main');
  const tip = await repository.work.commit(`large ${sizeBytes}`, { 'large.txt': randomBytes(sizeBytes).toString('base64') });
  const pack = await packOf(repository.work, tip, base);
  const push = new RawPush(cluster, repository.name);
  await push.send(commandBytes('refs/heads/main', base, tip));
  return { push, pack, tip };
}

function goneCount(): Promise<number> {
  return sample(cluster, 'controller', 'trivet_pushes_total', { outcome: 'client_gone' });
}

test('a client that leaves while the nodes keep it waiting is no error in any log', async (t) => {
  const repository = await PushedRepository.create(cluster, 'impatient');
  // The first few may leave before their question has come to a node.
  await until(async () => {
    await signalNodes('SIGSTOP');
    const leave = new AbortController();
    const answer = fetch(`${cluster.gitUrl(repository.name)}/info/refs?service=git-upload-pack`, { signal: leave.signal }).catch(() => {});
    await fetch(`${cluster.url}/readyz`);
    leave.abort();
    await answer;
    await signalNodes('SIGCONT');
    return (await logs()).includes('"msg":"the client left"');
  }, PATIENCE_MS, () => 'nobody noticed that the client left');
  await repository.expectSettledAt();
  t.deepEqual(await errors(), []);
});

test('a client that leaves while the nodes keep its push waiting is no error in any log', async (t) => {
  const repository = await PushedRepository.create(cluster, 'impatient-push');
  const { push, pack } = await beginPush(repository, 3_000_000);
  const gone = await goneCount();
  await signalNodes('SIGSTOP');
  // Without its end the nodes' votes can't come, and with the nodes at rest not all of it goes through.
  void push.send(pack);
  await until(async () => await sample(cluster, 'controller', 'trivet_pushes_voting') === 1, PATIENCE_MS, () => 'the push never began');
  push.leave();
  await until(async () => await goneCount() > gone, PATIENCE_MS, () => 'nobody noticed that the client left');
  await signalNodes('SIGCONT');
  await repository.expectSettledAt();
  t.deepEqual(await errors(), []);
});

async function signalNodes(signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
  for (const node of cluster.nodeNames()) await cluster.signal(node, signal);
}

async function errors(): Promise<string[]> {
  return (await logs()).split('\n').filter((line) => line.includes('"level":50'));
}

async function logs(): Promise<string> {
  const parts = ['controller', ...cluster.nodeNames()];
  return (await Promise.all(parts.map((part) => readFile(join(cluster.directory, 'data', 'log', `${part}.log`), 'utf8')))).join('');
}
