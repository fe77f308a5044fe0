import anyTest from 'ava';
import { Cluster } from '../cluster.ts';
import { PushedRepository, sample, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => { cluster = await Cluster.start(); });
anyTest.after.always(() => cluster?.stop());

/** Where a node may die. */
const PLACES = [
  ['vote-begin', 'before it takes in the pack'],
  ['vote-answer', 'with the pack in quarantine'],
  ['prepare-begin', 'before it promises'],
  ['prepare-promised', 'with its promise on the disk but not told'],
  ['commit-begin', 'before it commits what it promised'],
  ['commit-refs', 'with the refs moved but not on record'],
  ['commit-answer', 'with everything done but not told'],
] as const;

for (const [i, [failpoint, where]] of PLACES.entries()) {
  test(`a push succeeds when one of three nodes dies ${where} (${failpoint}), and the node comes back equal`, async (t) => {
    const node = `node${(i % 3) + 1}`;
    const repository = await PushedRepository.create(cluster, failpoint);
    await cluster.arm(node, failpoint, 'kill');
    await repository.mustPush();
    t.true(cluster.struck(node, failpoint));
    await cluster.waitUntilGone(node);
    t.is(await repository.remoteTip(), repository.acknowledged.at(-1), 'the push can be read while the node is dead');
    await repository.mustPush();
    await cluster.startPart(node);
    await repository.expectSettledAt();
    t.is((await cluster.show(failpoint)).generation, 3);
  });
}

test('a push is refused when two of three nodes die with their promise, and nothing of it is left', async (t) => {
  const repository = await PushedRepository.create(cluster, 'two-die');
  const before = repository.acknowledged.at(-1);
  for (const node of ['node1', 'node2']) await cluster.arm(node, 'prepare-promised', 'kill');
  const { code, stderr } = await repository.push();
  t.not(code, 0);
  t.regex(stderr, /not enough current replicas/);
  t.is(await repository.remoteTip(), before, 'the remaining replica still shows what was there');
  await Promise.all(['node1', 'node2'].map(async (node) => {
    await cluster.waitUntilGone(node);
    await cluster.startPart(node);
  }));
  await repository.expectSettledAt(before);
  t.is((await cluster.show('two-die')).generation, 1);
  t.is((await repository.pushAgain()).code, 0, 'the same push can be made again');
  await repository.expectSettledAt();
});

test('a node that dies with a promise which the others committed learns the decision when it starts', async (t) => {
  const repository = await PushedRepository.create(cluster, 'learns');
  await cluster.arm('node2', 'commit-begin', 'kill');
  await repository.mustPush();
  await untilStruck(cluster, 'node2', 'commit-begin');
  await cluster.waitUntilGone('node2');
  const settled = await sample(cluster, 'controller', 'trivet_settled_total', { outcome: 'commit' });
  await cluster.startPart('node2');
  t.is(await sample(cluster, 'controller', 'trivet_settled_total', { outcome: 'commit' }), settled + 1);
  await repository.expectSettledAt();
});
