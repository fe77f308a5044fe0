import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { Cluster, until, PATIENCE_MS } from '../cluster.ts';
import { mariadbHere, startMariaDb, type MariaDb } from '../mariadb.ts';
import { DatabaseProxy } from './database-proxy.ts';
import { PushedRepository, untilStruck } from './pushed-repository.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;
let mariadb: MariaDb;
let proxy: DatabaseProxy;
let cluster: Cluster;

anyTest.before(async (t) => {
  if (!mariadbHere()) return t.log('skipped: mariadbd is not installed here (Debian: mariadb-server)');
  mariadb = await startMariaDb();
  proxy = await DatabaseProxy.start(mariadb.url);
  cluster = await Cluster.start({ store: proxy.url, environment: { TRIVET_VOTE_EXPIRY_MS: '2000' } });
});
anyTest.after.always(async () => {
  proxy?.up();
  await cluster?.stop();
  await proxy?.stop();
  await mariadb?.stop();
});

for (const [when, fate] of [['before', 'gone'], ['after', 'there']] as const) {
  test(`when the connection is cut ${when} the decision is committed, the push is ${fate} on every node and the client hears no untruth`, async (t) => {
    const repository = await PushedRepository.create(cluster, `cut-${when}`);
    const before = repository.acknowledged.at(-1);
    // Nothing else is under way, so that the next COMMIT is the decision's.
    await repository.expectSettledAt();
    proxy.cutAtCommit(when);
    const push = await repository.push();
    t.true(proxy.hasCut);
    t.is((await cluster.show(repository.name)).generation, fate === 'there' ? 2 : 1);
    // A controller that loses the answer asks again: it may tell the truth, or that it doesn't know.
    if (fate === 'gone') t.not(push.code, 0);
    await repository.expectSettledAt(fate === 'there' ? push.tip : before);
    t.is((await repository.pushAgain()).code, 0);
    await repository.expectSettledAt(push.tip);
    t.is((await cluster.show(repository.name)).generation, 2, 'the same push is not made twice');
  });
}

test('while the database is down a push is refused with 503 and reason, and pushes work again when it is back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'down');
  const before = repository.acknowledged.at(-1);
  proxy.down();
  const response = await fetch(`${cluster.gitUrl('down')}/git-receive-pack`, {
    method: 'POST', headers: { 'content-type': 'application/x-git-receive-pack-request' }, body: '0000',
  });
  t.is(response.status, 503);
  t.regex(await response.text(), /the database does not answer/);
  t.not((await repository.push()).code, 0);
  t.is((await fetch(`${cluster.url}/readyz`)).status, 503);
  t.is((await fetch(`${cluster.url}/healthz`)).status, 200);
  proxy.up();
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok, PATIENCE_MS, () => 'the controller does not find its database again');
  t.is(await repository.remoteTip(), before);
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
});

test('a push is undone on every node when the database goes away with every promise made, and can be made again when it is back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'goes-away');
  const before = repository.acknowledged.at(-1);
  await cluster.arm('controller', 'decide-begin', 'delay 300');
  const pushing = repository.push();
  await untilStruck(cluster, 'controller', 'decide-begin');
  proxy.down();
  const push = await pushing;
  t.not(push.code, 0, 'without a decision there is no success');
  proxy.up();
  await repository.expectSettledAt(before);
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
});

test('a database that is stopped while it decides and goes on later ends in one outcome, whatever the client heard', async (t) => {
  const repository = await PushedRepository.create(cluster, 'stopped');
  const before = repository.acknowledged.at(-1);
  await cluster.arm('controller', 'decide-begin', 'delay 300');
  const pushing = repository.push();
  await untilStruck(cluster, 'controller', 'decide-begin');
  process.kill(mariadb.pid, 'SIGSTOP');
  // The nodes lose patience, ask, and hear nothing certain.
  await until(async () => /nobody knows the decision/.test(await readFile(join(cluster.directory, 'data/log/node1.log'), 'utf8')), PATIENCE_MS,
    () => 'node1 never asked');
  process.kill(mariadb.pid, 'SIGCONT');
  const push = await pushing;
  await until(async () => (await fetch(`${cluster.url}/readyz`)).ok, PATIENCE_MS, () => 'the controller does not find its database again');
  const there = (await cluster.show('stopped')).generation === 2;
  if (push.code === 0) t.true(there);
  await repository.expectSettledAt(there ? push.tip : before);
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt(push.tip);
  t.is((await cluster.show('stopped')).generation, 2);
});

for (const failpoint of ['decide-begin', 'decide-end'] as const) {
  test(`with MySQL as with SQLite, a push is settled one way after the controller dies at ${failpoint}`, async (t) => {
    const repository = await PushedRepository.create(cluster, `mysql-${failpoint}`);
    const before = repository.acknowledged.at(-1);
    await cluster.arm('controller', failpoint, 'kill');
    const push = await repository.push();
    t.not(push.code, 0);
    await cluster.waitUntilGone('controller');
    await cluster.startPart('controller');
    await repository.expectSettledAt(failpoint === 'decide-end' ? push.tip : before);
    t.is((await repository.pushAgain()).code, 0);
    await repository.expectSettledAt(push.tip);
  });
}

test('with MySQL as with SQLite, a push goes on when a node dies with its promise, and the node comes back equal', async (t) => {
  const repository = await PushedRepository.create(cluster, 'mysql-node');
  await cluster.arm('node1', 'prepare-promised', 'kill');
  await repository.mustPush();
  t.true(cluster.struck('node1', 'prepare-promised'));
  await cluster.waitUntilGone('node1');
  await repository.mustPush();
  await cluster.startPart('node1');
  await repository.expectSettledAt();
});
