import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { Cluster } from '../cluster.ts';
import { PushedRepository, sample, untilHealthy, untilReplica } from './pushed-repository.ts';
import { commandBytes, RawPush } from './raw-push.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // A grace so short that a stalled node costs a push no second.
  cluster = await Cluster.start({ environment: { TRIVET_VOTE_GRACE_MS: '300', TRIVET_COMMIT_GRACE_MS: '300' } });
});
anyTest.after.always(() => cluster?.stop());

test('with two of three nodes down a push is refused before its pack is read, reads go on, and one node back is enough', async (t) => {
  const repository = await PushedRepository.create(cluster, 'two-down');
  const before = repository.acknowledged.at(-1);
  for (const node of ['node2', 'node3']) await cluster.signal(node, 'SIGKILL');
  for (const node of ['node2', 'node3']) await untilHealthy(cluster, node, false);
  const announced = new RawPush(cluster, repository.name, 1024 ** 3);
  await announced.send(commandBytes('refs/heads/x', '0'.repeat(40), 'f'.repeat(40)));
  const refusal = await announced.answer;
  announced.leave();
  t.is(refusal.status, 503);
  t.regex(refusal.text, /not enough current replicas/);
  t.regex(refusal.text, /missing: .*node2.*node3/);
  t.notRegex(refusal.text, /node1/);
  const { code, stderr } = await repository.push();
  t.not(code, 0);
  t.regex(stderr, /503/);
  t.is(await repository.remoteTip(), before);
  await repository.work.git('clone', '-q', cluster.gitUrl(repository.name), join(repository.work.path, 'clone'));
  await cluster.startPart('node2');
  t.is((await repository.pushAgain()).code, 0);
  await cluster.startPart('node3');
  await repository.expectSettledAt();
});

test('a node that missed pushes comes back outdated, takes no part until it is repaired, and is then equal', async (t) => {
  const repository = await PushedRepository.create(cluster, 'missed');
  await cluster.signal('node3', 'SIGKILL');
  for (let i = 0; i < 3; i++) await repository.mustPush();
  t.is(await untilReplica(cluster, 'missed', 'node3', ['outdated', 'current']), 'outdated');
  const missed = (await cluster.show('missed')).replicas.find((replica) => replica.node === 'node3')!;
  t.is(missed.generation, 1, 'SQL knows how far it got');
  await cluster.startPart('node3');
  await repository.expectSettledAt();
  t.is((await cluster.show('missed')).generation, 4);
});

test('a node whose directory was wiped comes back with every replica missing, and all are rebuilt', async (t) => {
  const repositories = await Promise.all(['wiped-1', 'wiped-2'].map((name) => PushedRepository.create(cluster, name)));
  const repairs = await sample(cluster, 'controller', 'trivet_repairs_total', { outcome: 'ok' });
  await cluster.signal('node1', 'SIGKILL');
  await rm(join(cluster.directory, 'data', 'node1'), { recursive: true });
  await cluster.startPart('node1');
  for (const repository of repositories) await repository.expectSettledAt();
  t.true(await sample(cluster, 'controller', 'trivet_repairs_total', { outcome: 'ok' }) >= repairs + 2);
  for (const repository of repositories) await repository.mustPush();
  for (const repository of repositories) await repository.expectSettledAt();
});

test('a push goes on without a node that stalls, later pushes do not ask it, and it is repaired when it goes on', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stalls');
  const lost = () => sample(cluster, 'controller', 'trivet_votes_lost_total', { node: 'node2' });
  const before = await lost();
  await cluster.signal('node2', 'SIGSTOP');
  await repository.mustPush();
  const after = await lost();
  t.true(after <= before + 1);
  await untilHealthy(cluster, 'node2', false);
  for (let i = 0; i < 3; i++) await repository.mustPush();
  t.is(await lost(), after, 'no later push waited for its vote');
  t.is(await untilReplica(cluster, 'stalls', 'node2', ['outdated']), 'outdated');
  await cluster.signal('node2', 'SIGCONT');
  await repository.expectSettledAt();
});

for (const failpoint of ['prepare-begin', 'commit-begin']) {
  test(`a push goes on without a node that stalls at ${failpoint}, which is outdated before the client hears success`, async (t) => {
    const repository = await PushedRepository.create(cluster, `stalls-${failpoint}`);
    await cluster.arm('node3', failpoint, 'stop');
    await repository.mustPush();
    // Its repair may have begun, and waits for it.
    t.not(await untilReplica(cluster, repository.name, 'node3', ['outdated', 'repairing', 'current']), 'current');
    t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
    await cluster.signal('node3', 'SIGCONT');
    await repository.expectSettledAt();
  });
}

for (const failpoint of ['vote-begin', 'vote-answer', 'prepare-begin', 'prepare-promised', 'commit-begin', 'commit-refs', 'commit-answer']) {
  test(`a push succeeds when one node fails at ${failpoint}, and that node is made equal again`, async (t) => {
    const repository = await PushedRepository.create(cluster, `fails-${failpoint}`);
    await cluster.arm('node1', failpoint, 'error the disk is on fire');
    await repository.mustPush();
    t.true(cluster.struck('node1', failpoint));
    await repository.expectSettledAt();
    await repository.mustPush();
    await repository.expectSettledAt();
  });
}

test('a replica whose ref was moved by hand while its node was down is diverged, never read from, and made equal again', async (t) => {
  const repository = await PushedRepository.create(cluster, 'by-hand');
  const [first] = repository.acknowledged;
  await repository.mustPush();
  const directory = await cluster.replicaDirectory(repository.name, 'node2');
  await cluster.signal('node2', 'SIGKILL');
  await writeFile(join(directory, 'refs/heads/main'), `${first}\n`);
  await cluster.startPart('node2');
  for (let i = 0; i < 4; i++) t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  await repository.expectSettledAt();
  await repository.mustPush();
  await repository.expectSettledAt();
});

test('a replica that lost an object votes differently, loses its place and is marked diverged, and the push succeeds', async (t) => {
  const repository = await PushedRepository.create(cluster, 'lost-object');
  const directory = await cluster.replicaDirectory(repository.name, 'node3');
  await cluster.signal('node3', 'SIGKILL');
  const removed = await removeObjects(directory);
  t.true(removed > 0);
  await cluster.startPart('node3');
  const differing = await sample(cluster, 'controller', 'trivet_votes_lost_total', { node: 'node3', code: 'differs' });
  await repository.mustPush();
  t.is(await sample(cluster, 'controller', 'trivet_votes_lost_total', { node: 'node3', code: 'differs' }), differing + 1);
  t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  await repository.expectSettledAt();
});

/** Takes every object out of a replica's store. @returns how many files that were */
async function removeObjects(directory: string): Promise<number> {
  const objects = join(directory, 'objects');
  const files = (await readdir(objects, { recursive: true })).filter((path) => /^(pack\/pack-|[0-9a-f]{2}\/)/.test(path));
  for (const file of files) await rm(join(objects, file), { force: true });
  return files.length;
}
