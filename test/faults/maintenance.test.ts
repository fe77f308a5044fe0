import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { post, verify } from './operator.ts';
import { PushedRepository } from './pushed-repository.ts';

// Nodes keep the stores of their replicas fast. They look all the time here, and find much to do: ten packs are too many.

const test = anyTest.serial;
const PACKS = 10;
let cluster: Cluster;
anyTest.before(async () => {
  cluster = await Cluster.start({ environment: { TRIVET_MAINTENANCE_PACKS: String(PACKS), TRIVET_MAINTENANCE_SCAN_MS: '100', TRIVET_MAINTENANCE_GRACE_MS: '10000' } });
});
anyTest.after.always(() => cluster?.stop());

test('however many pushes there are, there are few packs, and no push and no clone fails meanwhile', async (t) => {
  const repository = await PushedRepository.create(cluster, 'bounded');
  let going = true;
  const cloning = (async () => {
    for (let i = 0; going; i++) {
      const cloned = await runGit(cluster.directory, ['clone', '-q', '--bare', cluster.gitUrl('bounded'), `clone-${i}`]);
      if (cloned.code !== 0) throw new Error(cloned.stderr);
      const sound = await runGit(join(cluster.directory, `clone-${i}`), ['fsck', '--full']);
      if (sound.code !== 0) throw new Error(sound.stderr + sound.stdout);
      await rm(join(cluster.directory, `clone-${i}`), { recursive: true });
    }
  })();
  for (let i = 0; i < 5 * PACKS; i++) await repository.mustPush();
  going = false;
  await cloning;
  await untilFewPacks('bounded');
  t.deepEqual((await verify(cluster, 'bounded', true)).map(({ result }) => result), ['equal', 'equal', 'equal']);
  await repository.expectSettledAt();
});

for (const failpoint of ['maintenance-combined', 'maintenance-installed', 'maintenance-retired', 'maintenance-half-removed']) {
  test(`a node that is killed at ${failpoint} comes back current, with all it had`, async (t) => {
    const repository = await PushedRepository.create(cluster, failpoint);
    for (let i = 0; i < 3; i++) await repository.mustPush();
    await cluster.converged(failpoint);
    await cluster.arm('node1', failpoint, 'kill');
    await post(cluster, '/api/v1/maintenance', { repository: failpoint, node: 'node1' });
    await cluster.waitUntilGone('node1');
    await repository.mustPush();
    await cluster.startPart('node1');
    await cluster.converged(failpoint);
    t.deepEqual((await verify(cluster, failpoint, true)).map(({ result }) => result), ['equal', 'equal', 'equal']);
    await post(cluster, '/api/v1/maintenance', { repository: failpoint, node: 'node1' });
    await until(async () => await packsOf(failpoint, 'node1') === 1, PATIENCE_MS, () => 'node1 has not combined its packs');
    await repository.expectSettledAt();
  });
}

test('an operator who wants it gets one pack on each node, one node after another, and it is told while it lasts', async (t) => {
  const repository = await PushedRepository.create(cluster, 'wanted');
  for (let i = 0; i < 3; i++) await repository.mustPush();
  const { id } = await cluster.converged('wanted');
  await cluster.arm('node1', 'maintenance-combined', 'delay 3000');
  t.deepEqual(await post(cluster, '/api/v1/maintenance', { repository: 'wanted', node: 'node1' }), { repository: 'wanted', replicas: [{ node: 'node1', asked: true, code: null }] });
  await until(async () => (await maintaining('node1')).includes(id), PATIENCE_MS, () => 'node1 does not say that it maintains anything');
  await until(() => cluster.struck('node1', 'maintenance-combined'), PATIENCE_MS, () => 'node1 does nothing');
  await post(cluster, '/api/v1/maintenance', { repository: 'wanted' });
  const counts = () => Promise.all(cluster.nodeNames().map((node) => packsOf('wanted', node)));
  await until(async () => (await counts()).every((count) => count === 1), PATIENCE_MS, () => 'not everybody has one pack');
  for (const node of cluster.nodeNames()) t.true((await stat(join(await cluster.replicaDirectory('wanted', node), 'objects', 'pack', 'multi-pack-index'))).isFile());
  t.regex(await cluster.metrics('node1'), /trivet_node_maintenances_total\{reason="asked",outcome="done",node="node1"\} [1-9]/);
  await repository.expectSettledAt();
});

async function maintaining(node: string): Promise<string[]> {
  const response = await fetch(`${cluster.partUrl(node)}/status`, { headers: { authorization: `Bearer ${await cluster.token()}` } });
  return (await response.json() as { maintaining: string[] }).maintaining;
}

async function packsOf(repository: string, node: string): Promise<number> {
  return (await readdir(join(await cluster.replicaDirectory(repository, node), 'objects', 'pack'))).filter((file) => file.endsWith('.pack')).length;
}

async function untilFewPacks(repository: string): Promise<void> {
  const counts = () => Promise.all(cluster.nodeNames().map((node) => packsOf(repository, node)));
  let seen: number[] = [];
  await until(async () => {
    seen = await counts();
    return seen.every((count) => count < PACKS);
  }, PATIENCE_MS, () => `too many packs: ${seen.join(', ')}`);
}
