import anyTest from 'ava';
import { Cluster, WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { PushedRepository, sample, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // A coordinator that a test holds up must not lose its promises to nodes that ask.
  cluster = await Cluster.start({ environment: { TRIVET_PROMISE_DEADLINE_MS: '60000' } });
});
anyTest.after.always(() => cluster?.stop());

const CLIENTS = 8;

test('eight clients that push to different refs at once all succeed, and each push is a generation of its own', async (t) => {
  const repository = await PushedRepository.create(cluster, 'different-refs');
  const clients = await cloneFor(repository, CLIENTS);
  const tips = await Promise.all(clients.map((client, i) => client.commit(`client ${i}`)));
  const pushes = await Promise.all(clients.map((client, i) => client.tryGit('push', 'origin', `main:refs/heads/client-${i}`)));
  for (const push of pushes) t.is(push.code, 0, push.stderr);
  t.is((await cluster.show('different-refs')).generation, 1 + CLIENTS);
  await repository.expectSettledAt();
  for (const [i, tip] of tips.entries()) {
    const listing = await runGit(repository.work.path, ['ls-remote', cluster.gitUrl('different-refs'), `refs/heads/client-${i}`]);
    t.is(listing.stdout.split('\t')[0], tip);
  }
});

test('pushes that wait for their turn together are prepared as one batch, each with its own generation', async (t) => {
  const repository = await PushedRepository.create(cluster, 'batches');
  const clients = await cloneFor(repository, CLIENTS);
  await Promise.all(clients.map((client, i) => client.commit(`client ${i}`)));
  const [batches, transactions] = [await sample(cluster, 'controller', 'trivet_batch_transactions_count'), await sample(cluster, 'controller', 'trivet_batch_transactions_sum')];
  // The first holds its turn until all the others have voted.
  await cluster.arm('controller', 'decide-begin', 'delay 2500');
  const [first, ...others] = clients;
  const held = first!.tryGit('push', 'origin', 'main:refs/heads/client-0');
  await untilStruck(cluster, 'controller', 'decide-begin');
  const pushes = await Promise.all([held, ...others.map((client, i) => client.tryGit('push', 'origin', `main:refs/heads/client-${i + 1}`))]);
  for (const push of pushes) t.is(push.code, 0, push.stderr);
  t.is((await cluster.show('batches')).generation, 1 + CLIENTS);
  const sum = await sample(cluster, 'controller', 'trivet_batch_transactions_sum') - transactions;
  const count = await sample(cluster, 'controller', 'trivet_batch_transactions_count') - batches;
  t.is(sum, CLIENTS);
  t.true(count < CLIENTS, `${count} batches for ${CLIENTS} pushes`);
  await repository.expectSettledAt();
});

test('of several clients that push to one ref at once exactly one wins each round, and the others are told why', async (t) => {
  const repository = await PushedRepository.create(cluster, 'same-ref');
  const clients = await cloneFor(repository, 4);
  for (let round = 1; round <= 3; round++) {
    await Promise.all(clients.map(async (client, i) => {
      await client.git('fetch', '-q', 'origin');
      await client.git('reset', '-q', '--hard', 'origin/main');
      await client.commit(`round ${round} client ${i}`);
    }));
    const pushes = await Promise.all(clients.map((client) => client.tryGit('push', 'origin', 'main')));
    const winners = pushes.flatMap(({ code }, i) => (code === 0 ? [i] : []));
    t.is(winners.length, 1, `round ${round}: ${pushes.map(({ stderr }) => stderr).join('\n')}`);
    for (const { code, stderr } of pushes) if (code !== 0) t.regex(stderr, /incorrect old value|fetch first|non-fast-forward|rejected/);
    t.is(await repository.remoteTip(), await clients[winners[0]!]!.git('rev-parse', 'main'));
    t.is((await cluster.show('same-ref')).generation, 1 + round);
  }
  await repository.expectSettledAt(await repository.remoteTip());
});

test('pushes to several repositories at once do not wait for each other, and a held one keeps nobody else out', async (t) => {
  const held = await PushedRepository.create(cluster, 'held');
  const others = await Promise.all([1, 2, 3].map((i) => PushedRepository.create(cluster, `free-${i}`)));
  await cluster.arm('controller', 'decide-begin', 'delay 4000');
  let ended = false;
  const push = held.mustPush().then(() => { ended = true; });
  await untilStruck(cluster, 'controller', 'decide-begin');
  await Promise.all(others.map((repository) => repository.mustPush()));
  t.false(ended);
  await push;
  for (const repository of [held, ...others]) await repository.expectSettledAt();
});

test('a node that dies while eight clients push costs none of them a push, and comes back with all of them', async (t) => {
  const repository = await PushedRepository.create(cluster, 'dies-meanwhile');
  const clients = await cloneFor(repository, CLIENTS);
  await cluster.arm('node2', 'prepare-promised', 'kill');
  await Promise.all(clients.map(async (client, i) => {
    for (let round = 1; round <= 2; round++) {
      await client.commit(`client ${i} round ${round}`);
      const push = await client.tryGit('push', 'origin', `main:refs/heads/client-${i}`);
      t.is(push.code, 0, push.stderr);
    }
  }));
  t.true(cluster.struck('node2', 'prepare-promised'));
  t.is((await cluster.show('dies-meanwhile')).generation, 1 + 2 * CLIENTS);
  await cluster.waitUntilGone('node2');
  await cluster.startPart('node2');
  await repository.expectSettledAt();
});

/** Clones of a repository's clone, each by a client of its own. */
async function cloneFor(repository: PushedRepository, count: number): Promise<WorkTree[]> {
  return Promise.all(Array.from({ length: count }, async (_, i) => {
    const client = new WorkTree(`${repository.work.path}-client-${i}`);
    await repository.work.git('clone', '-q', repository.work.path, client.path);
    await client.git('remote', 'set-url', 'origin', cluster.gitUrl(repository.name));
    return client;
  }));
}
