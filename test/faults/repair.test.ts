import { cp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { randomBytes } from 'node:crypto';
import anyTest from 'ava';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { atRisk, jobs, post } from './operator.ts';
import { PushedRepository, sample, untilHealthy, untilReplica, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  cluster = await Cluster.start({ nodes: 4, environment: { TRIVET_REPAIR_LEASE_MS: '3000' } });
});
anyTest.after.always(() => cluster?.stop());

test('a repair catches up under a steady stream of pushes, and no push fails meanwhile', async (t) => {
  const repository = await PushedRepository.create(cluster, 'steady');
  await repository.work.commit('large', { 'large.bin': randomBytes(30 * 1024 * 1024).toString('latin1') });
  t.is((await repository.pushAgain()).code, 0);
  const node = (await cluster.show('steady')).replicas[0]!.node;
  await cluster.signal(node, 'SIGKILL');
  await rm(join(cluster.directory, 'data', node, 'repositories'), { recursive: true });
  await untilHealthy(cluster, node, false);
  let pushing = true;
  let pushes = 0;
  // Five clients with a branch each, four pushes a second each: as fast as that where the machine can.
  const pushers = Array.from({ length: 5 }, async (_, i) => {
    const work = await cluster.workTree(`steady-${i}`);
    await work.git('remote', 'add', 'origin', cluster.gitUrl('steady'));
    for (let n = 0; pushing; n++) {
      await work.commit(`${i} ${n}`);
      const [result] = await Promise.all([work.tryGit('push', '-q', 'origin', `HEAD:refs/heads/steady-${i}`), sleep(250)]);
      t.is(result.code, 0, result.stderr);
      pushes += 1;
    }
  });
  await until(() => pushes > 10, PATIENCE_MS, () => 'no pushes');
  await cluster.startPart(node);
  await untilReplica(cluster, 'steady', node, ['current']);
  const during = pushes;
  // It stays current while pushes go on: it wasn't a pause that let it in.
  await until(() => pushes > during + 10, PATIENCE_MS, () => 'pushes ended');
  t.is(await untilReplica(cluster, 'steady', node, ['current']), 'current');
  pushing = false;
  await Promise.all(pushers);
  const [job] = await jobs(cluster, 'steady', 'done');
  t.like(job, { node, state: 'done', way: 'rebuild' });
  await repository.expectSettledAt();
});

for (const failpoint of ['repair-begun', 'repair-turn', 'repair-admit', 'repair-admitted']) {
  test(`a controller that dies in a repair (${failpoint}) loses its lease, and the repair is finished by the next`, async (t) => {
    const name = `dies-${failpoint}`;
    const repository = await PushedRepository.create(cluster, name);
    const node = (await cluster.show(name)).replicas[1]!.node;
    await cluster.signal(node, 'SIGKILL');
    await untilHealthy(cluster, node, false);
    await repository.mustPush();
    await cluster.arm('controller', failpoint, 'kill');
    await cluster.startPart(node);
    await untilStruck(cluster, 'controller', failpoint);
    await cluster.waitUntilGone('controller');
    await cluster.startPart('controller', { TRIVET_CONTROLLER_NAME: `after-${failpoint}` });
    await repository.expectSettledAt();
    t.deepEqual(await jobs(cluster, name, 'open'), []);
    await repository.mustPush();
    await repository.expectSettledAt();
  });
}

for (const failpoint of ['swap-flushed', 'swap-journaled', 'swap-between', 'swap-done']) {
  test(`a node that dies while it swaps replicas (${failpoint}) has a whole replica when it is back, and the repair is finished`, async (t) => {
    const name = `node-${failpoint}`;
    const repository = await PushedRepository.create(cluster, name);
    const { node } = (await cluster.show(name)).replicas[0]!;
    await cluster.signal(node, 'SIGKILL');
    await untilHealthy(cluster, node, false);
    await repository.mustPush();
    await rm(join(await cluster.replicaDirectory(name, node), 'trivet.json'));
    await cluster.arm(node, failpoint, 'kill');
    await cluster.startPart(node).catch(() => {});
    await untilStruck(cluster, node, failpoint);
    await cluster.waitUntilGone(node);
    await cluster.startPart(node);
    await repository.expectSettledAt();
    const left = (await readdir(join(cluster.directory, 'data', node, 'repositories'), { recursive: true })).filter((path) => /\.git\.|\/damaged\//.test(path));
    t.deepEqual(left, []);
    await repository.mustPush();
    await repository.expectSettledAt();
  });
}

test('several replicas of a repository are repaired at once, from whatever is current', async (t) => {
  const repository = await PushedRepository.create(cluster, 'several', { replicationFactor: 4 });
  const nodes = (await cluster.show('several')).replicas.map(({ node }) => node);
  t.is(nodes.length, 4);
  // A quorum of four is three: what is lost here is put right before the next push.
  for (const node of nodes.slice(0, 2)) {
    await cluster.signal(node, 'SIGKILL');
    await rm(await cluster.replicaDirectory('several', node), { recursive: true });
  }
  for (const node of nodes.slice(0, 2)) await cluster.startPart(node);
  await repository.expectSettledAt();
  t.deepEqual((await jobs(cluster, 'several')).map(({ state, reason }) => [state, reason]), [['done', 'missing'], ['done', 'missing']]);
});

test('the newest acknowledged state wins although it is on one replica only, whatever the majority says', async (t) => {
  const repository = await PushedRepository.create(cluster, 'minority');
  const [a, b, c] = (await cluster.show('minority')).replicas.map(({ node }) => node) as [string, string, string];
  await repository.expectSettledAt();
  const directory = (node: string) => join(cluster.directory, 'data', node);
  // Two nodes come back as they were before the last acknowledged pushes: they agree with one another.
  const copy = async (node: string) => {
    await cluster.signal(node, 'SIGTERM');
    await cp(directory(node), `${directory(node)}.backup`, { recursive: true });
    await cluster.startPart(node);
  };
  for (const node of [a, b]) await copy(node);
  for (let i = 0; i < 3; i++) await repository.mustPush();
  await repository.expectSettledAt();
  for (const node of [a, b]) {
    await cluster.signal(node, 'SIGTERM');
    await rm(directory(node), { recursive: true });
    await rename(`${directory(node)}.backup`, directory(node));
  }
  for (const node of [a, b]) await cluster.startPart(node);
  await repository.expectSettledAt(repository.acknowledged.at(-1));
  const view = await cluster.show('minority');
  t.is(view.generation, 4);
  t.is(view.replicas.find(({ node }) => node === c)!.generation, 4);
});

test('what is at risk is told alike by REST and metrics, with since when and what is done, and is over after the repair', async (t) => {
  const repository = await PushedRepository.create(cluster, 'risky');
  const mine = async () => (await atRisk(cluster)).items.find((item) => item.repository === 'risky');
  await until(async () => await mine() === undefined, PATIENCE_MS, () => 'at risk from the start');
  const [a, b] = (await cluster.show('risky')).replicas.map(({ node }) => node) as [string, string];
  await cluster.signal(a, 'SIGKILL');
  await untilHealthy(cluster, a, false);
  t.like(await mine(), { kind: 'under_replicated', current: 2 });
  await cluster.signal(b, 'SIGKILL');
  await untilHealthy(cluster, b, false);
  const worst = (await mine())!;
  t.like(worst, { kind: 'no_quorum', current: 1 });
  t.deepEqual(worst.replicas.filter(({ reachable }) => !reachable).map(({ node }) => node).sort(), [a, b].sort());
  t.true(Date.parse(worst.since) <= Date.now());
  const { byKind } = await atRisk(cluster);
  await until(async () => await sample(cluster, 'controller', 'trivet_repositories_at_risk', { kind: 'no_quorum' }) === byKind['no_quorum'], PATIENCE_MS, () => 'the metric says something else');
  await rm(await cluster.replicaDirectory('risky', b), { recursive: true });
  for (const node of [a, b]) await cluster.startPart(node);
  await repository.expectSettledAt();
  t.is(await mine(), undefined);
  await until(async () => await sample(cluster, 'controller', 'trivet_repositories_at_risk', { kind: 'no_quorum' }) === 0, PATIENCE_MS, () => 'the metric stays');
});

test('acknowledged pushes are given up only by name, with a record, and what was given up never comes back as equal', async (t) => {
  const repository = await PushedRepository.create(cluster, 'given-up');
  const kept = repository.acknowledged.at(-1)!;
  const [a, b, c] = (await cluster.show('given-up')).replicas.map(({ node }) => node) as [string, string, string];
  await repository.expectSettledAt();
  await cluster.signal(c, 'SIGKILL');
  await untilHealthy(cluster, c, false);
  await repository.mustPush();
  const loss = { repository: 'given-up', source: c, acceptedBy: 'an operator', reason: 'two disks burned' };
  await t.throwsAsync(post(cluster, '/api/v1/data-losses', { ...loss, dryRun: false }), { message: /source_unsuitable/ }, 'the newest state can be reached');
  for (const node of [a, b]) await cluster.signal(node, 'SIGKILL');
  for (const node of [a, b]) await untilHealthy(cluster, node, false);
  await cluster.startPart(c);
  t.like((await atRisk(cluster)).items.find((item) => item.repository === 'given-up'), { kind: 'unavailable' });
  // For some seconds the dead nodes count as heard of, maybe by another controller.
  let plan: { id: null; lost: { generations: number }; after: { generation: number } } | undefined;
  await until(async () => (plan = await post<NonNullable<typeof plan>>(cluster, '/api/v1/data-losses', loss).catch(() => undefined)) !== undefined, PATIENCE_MS, () => 'no plan');
  t.like(plan, { id: null, lost: { generations: 1 }, after: { generation: 3 } });
  t.is((await cluster.show('given-up')).generation, 2, 'a plan changes nothing');
  t.truthy((await post<{ id: string }>(cluster, '/api/v1/data-losses', { ...loss, dryRun: false })).id);
  t.is(await repository.remoteTip(), kept);
  // The two that were given up for lost come back with the push that was given up.
  for (const node of [a, b]) await cluster.startPart(node);
  await repository.expectSettledAt(kept);
  t.is((await cluster.show('given-up')).generation, 3);
  await repository.work.git('reset', '-q', '--hard', kept);
  await repository.mustPush();
  await repository.expectSettledAt();
});
