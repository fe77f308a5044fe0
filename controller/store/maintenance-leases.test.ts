import { newId } from '@trivet/proto/id.ts';
import { MaintenanceLeases } from './maintenance-leases.ts';
import { storeTest } from './stores-under-test.ts';

storeTest('one node at a time has a repository\'s lease, renews it, and gives it back', async (t, store) => {
  const db = await store.open();
  const leases = new MaintenanceLeases(db);
  const [one, other] = [newId(), newId()];
  t.true(await leases.take(one, 'n1', 30_000));
  t.false(await leases.take(one, 'n2', 30_000));
  t.true(await leases.take(other, 'n2', 30_000), 'each repository has its own');
  t.true(await leases.take(one, 'n1', 30_000), 'renewed');
  await leases.release(one, 'n2');
  t.false(await leases.take(one, 'n2', 30_000), 'nobody gives back what is another\'s');
  await leases.release(one, 'n1');
  t.true(await leases.take(one, 'n2', 30_000));
});

storeTest('a lease that has ended, or that a clock set back since has written, keeps nobody out', async (t, store) => {
  const db = await store.open();
  const leases = new MaintenanceLeases(db);
  const repository = newId();
  t.true(await leases.take(repository, 'n1', -1));
  t.true(await leases.take(repository, 'n2', 30_000));
  t.false(await leases.take(repository, 'n1', 30_000), 'control');
  t.true(await leases.take(repository, 'n2', 3_600_000));
  t.true(await leases.take(repository, 'n1', 30_000));
});

storeTest('of many that ask at once, through two controllers, one gets it', async (t, store) => {
  const [a, b] = [new MaintenanceLeases(await store.open()), new MaintenanceLeases(await store.open())];
  const repository = newId();
  const answers = await Promise.all(Array.from({ length: 10 }, (_, i) => (i % 2 === 0 ? a : b).take(repository, `n${i}`, 30_000)));
  t.is(answers.filter(Boolean).length, 1);
});
