import anyTest from 'ava';
import { Cluster } from '../cluster.ts';
import { PushedRepository, sample, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // The votes of a controller that died are forgotten by time alone.
  cluster = await Cluster.start({ environment: { TRIVET_VOTE_EXPIRY_MS: '2000' } });
});
anyTest.after.always(() => cluster?.stop());

/** Where the only controller may die, and what then becomes of the push. */
const PLACES = [
  ['vote-end', 'after the vote', 'gone'],
  ['prepare-begin', 'before it asks for promises', 'gone'],
  ['decide-begin', 'with every promise made and nothing decided', 'gone'],
  ['decide-end', 'with the decision in SQL and nobody told', 'there'],
  ['commit-end', 'with everything done and the client not told', 'there'],
] as const;

for (const [failpoint, where, fate] of PLACES) {
  test(`a push is ${fate} on every node after the controller dies ${where} (${failpoint}), and can be made again`, async (t) => {
    const repository = await PushedRepository.create(cluster, failpoint);
    const before = repository.acknowledged.at(-1);
    await cluster.arm('controller', failpoint, 'kill');
    const push = await repository.push();
    t.not(push.code, 0, 'nobody is told a success that nobody has seen');
    t.true(cluster.struck('controller', failpoint));
    await cluster.waitUntilGone('controller');
    await cluster.startPart('controller');
    await repository.expectSettledAt(fate === 'there' ? push.tip : before);
    t.is((await cluster.show(failpoint)).generation, fate === 'there' ? 2 : 1);
    t.is((await repository.pushAgain()).code, 0);
    await repository.expectSettledAt(push.tip);
    t.is((await cluster.show(failpoint)).generation, 2, 'a push that was there is not made twice');
  });
}

for (const [failpoint, outcome] of [['decide-begin', 'abort'], ['decide-end', 'commit']] as const) {
  test(`nodes ask for the decision on their promise, and all three hear ${outcome} (${failpoint})`, async (t) => {
    const repository = await PushedRepository.create(cluster, `ask-${outcome}`);
    await cluster.arm('controller', failpoint, 'kill');
    const push = await repository.push();
    await cluster.waitUntilGone('controller');
    for (const node of cluster.nodeNames()) {
      t.is(await statusOf(node), 1, `${node} keeps its promise while nobody can say`);
    }
    await cluster.startPart('controller');
    await repository.expectSettledAt(outcome === 'commit' ? push.tip : repository.acknowledged.at(-1));
    t.is(await sample(cluster, 'controller', 'trivet_settled_total', { outcome }), 3);
  });
}

test('a transaction in doubt does not keep the next push out for good', async (t) => {
  const repository = await PushedRepository.create(cluster, 'next-push');
  await cluster.arm('controller', 'decide-begin', 'kill');
  await repository.push();
  await cluster.waitUntilGone('controller');
  await cluster.startPart('controller');
  await repository.mustPush();
  await repository.expectSettledAt();
  t.is((await cluster.show('next-push')).generation, 2);
});

test('a coordinator slower than the patience of the nodes loses its push everywhere, and the client hears no success', async (t) => {
  const repository = await PushedRepository.create(cluster, 'slow');
  const before = repository.acknowledged.at(-1);
  await cluster.arm('controller', 'decide-begin', 'delay 3500');
  t.not((await repository.push()).code, 0);
  await repository.expectSettledAt(before);
  t.is((await cluster.show('slow')).generation, 1);
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
});

for (const [failpoint, fate] of [['decide-begin', 'gone'], ['decide-end', 'there']] as const) {
  test(`every acknowledged push is there after all processes die at once, and one in flight at ${failpoint} is ${fate}`, async (t) => {
    const names = [1, 2, 3].map((i) => `all-die-${failpoint}-${i}`);
    const repositories = await Promise.all(names.map((name) => PushedRepository.create(cluster, name)));
    const [inFlight, ...others] = repositories;
    await Promise.all(others.map((repository) => repository.mustPush()));
    await cluster.arm('controller', failpoint, 'stop');
    const push = inFlight!.push();
    await untilStruck(cluster, 'controller', failpoint);
    const parts = ['controller', ...cluster.nodeNames()];
    await Promise.all(parts.map((part) => cluster.signal(part, 'SIGKILL')));
    t.not((await push).code, 0);
    await Promise.all(parts.map((part) => cluster.startPart(part)));
    await inFlight!.expectSettledAt(fate === 'there' ? (await push).tip : inFlight!.acknowledged.at(-1));
    for (const repository of others) await repository.expectSettledAt();
    for (const repository of repositories) await repository.mustPush();
    for (const repository of repositories) await repository.expectSettledAt();
  });
}

async function statusOf(node: string): Promise<number> {
  const response = await fetch(`${cluster.partUrl(node)}/status`, { headers: { authorization: `Bearer ${await cluster.token()}` } });
  return (await response.json() as { promises: number }).promises;
}
