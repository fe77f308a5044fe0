import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { seed, storeTest } from './stores-under-test.ts';
import { Verifications } from './verifications.ts';

const HOUR_MS = 3_600_000;
const NODES = ['n1', 'n2', 'n3'];

storeTest('what is new is spread over the interval, and due one after another', async (t, store) => {
  const db = await store.open();
  await seed(db);
  const verifications = new Verifications(db);
  t.is(await verifications.claim('verify', NODES, HOUR_MS), undefined, 'nobody has planned it');
  t.is(await verifications.plan('verify', 1, 2, Math.random), 2);
  t.is(await verifications.plan('verify', HOUR_MS, 10, Math.random), 1, 'what is planned already stays as it is');
  const claimed = [await verifications.claim('verify', NODES, HOUR_MS), await verifications.claim('verify', NODES, HOUR_MS)];
  t.is(new Set(claimed.map((due) => due!.node)).size, 2);
  t.is(await verifications.claim('verify', NODES, HOUR_MS), undefined, 'the third is due within an hour');
  t.is(await verifications.claim('check', NODES, HOUR_MS), undefined, 'checks have plans of their own');
});

storeTest('two controllers that look at once never get the same replica', async (t, store) => {
  const db = await store.open();
  const other = store.dialect === 'mysql' ? await store.open() : db;
  await seed(db);
  await new Verifications(db).plan('verify', 1, 10, Math.random);
  const claimed = await Promise.all([db, other, db, other].map((one) => new Verifications(one).claim('verify', NODES, HOUR_MS)));
  const nodes = claimed.flatMap((due) => (due === undefined ? [] : [due.node]));
  t.is(new Set(nodes).size, nodes.length);
});

storeTest('only current replicas on the nodes that were named are due', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const verifications = new Verifications(db);
  await verifications.plan('check', 1, 10, Math.random);
  await new Replicas(db).mark(repository.id, ['n1'], 'outdated', 'a test');
  t.is(await verifications.claim('check', ['n1'], HOUR_MS), undefined);
  t.is(await verifications.claim('check', [], HOUR_MS), undefined);
  t.is((await verifications.claim('check', ['n1', 'n2'], HOUR_MS))!.node, 'n2');
});

storeTest('a result has its time, and what came to nothing is due again soon', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const verifications = new Verifications(db);
  await verifications.plan('check', 1, 10, Math.random);
  const due = (await verifications.claim('check', ['n1'], HOUR_MS))!;
  t.is(await verifications.oldest('check'), undefined);
  await verifications.again(due, 0);
  t.deepEqual(await verifications.claim('check', ['n1'], HOUR_MS), due);
  await verifications.done(due);
  const [n1, n2] = (await new Repositories(db).routeById(repository.id))!.replicas;
  t.true(n1!.checkedAt instanceof Date && n1!.verifiedAt instanceof Date, 'a check verifies refs too');
  t.is(n2!.verifiedAt, null);
  t.deepEqual(await verifications.oldest('verify'), n1!.verifiedAt!);
});
