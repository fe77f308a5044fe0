import type { TrivetError } from '@trivet/proto/errors.ts';
import { Decisions } from './decisions.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { RepositoryChanges } from './repository-changes.ts';
import { seed, step, storeTest } from './stores-under-test.ts';

storeTest('a rename gives another name and leaves everything else, and a push goes on by the id', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db, 'old');
  const [changes, repositories] = [new RepositoryChanges(db), new Repositories(db)];
  const before = (await repositories.route('old'))!;
  t.true(await changes.apply('old', { name: 'new/name' }));
  t.is(await repositories.route('old'), undefined);
  t.deepEqual(await repositories.route('new/name'), { ...before, repository: { ...before.repository, name: 'new/name' } });
  t.false(await changes.apply('old', { name: 'other' }), 'the old name is nobody\'s');
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
  await seed(db, 'OLD');
  t.true(await changes.apply('new/name', { name: 'New/Name' }), 'its own key is in nobody\'s way');
});

storeTest('a rename to a name that is taken, or differs from one in case only, changes nothing', async (t, store) => {
  const db = await store.open();
  await seed(db, 'one');
  await seed(db, 'Two');
  const changes = new RepositoryChanges(db);
  for (const name of ['Two', 'two', 'TWO']) {
    const refused = await t.throwsAsync<TrivetError>(changes.apply('one', { name, policy: { denyDeletes: true } }), { code: 'repository_exists' });
    t.deepEqual(refused!.fields, { name, existing: 'Two' });
  }
  t.false((await new Repositories(db).route('one'))!.repository.policy.denyDeletes);
});

storeTest('a policy changes where it is named, and only there', async (t, store) => {
  const db = await store.open();
  await seed(db, 'r');
  const policy = async () => (await new Repositories(db).route('r'))!.repository.policy;
  const changes = new RepositoryChanges(db);
  await changes.apply('r', { policy: { denyDeletes: true } });
  t.deepEqual(await policy(), { denyNonFastForwards: false, denyDeletes: true });
  await changes.apply('r', { policy: { denyNonFastForwards: true, denyDeletes: false } });
  t.deepEqual(await policy(), { denyNonFastForwards: true, denyDeletes: false });
  t.true(await changes.apply('r', {}));
  t.false(await changes.apply('nobody', { policy: { denyDeletes: true } }));
});

storeTest('a replication factor that rises is intended first; one that falls holds at once', async (t, store) => {
  const db = await store.open();
  await seed(db, 'r');
  const changes = new RepositoryChanges(db);
  const factors = async () => {
    const { replicationFactor, intendedFactor } = (await new Repositories(db).route('r'))!.repository;
    return [replicationFactor, intendedFactor];
  };
  const set = async (replicationFactor: number) => {
    await changes.apply('r', { replicationFactor });
    return factors();
  };
  t.deepEqual(await set(5), [3, 5]);
  t.deepEqual(await set(4), [3, 4]);
  t.deepEqual(await set(3), [3, null], 'a change that was not needed after all');
  t.deepEqual(await set(5), [3, 5]);
  t.deepEqual(await set(1), [1, null]);
  t.deepEqual(await set(2), [1, 2]);
});

storeTest('while a higher factor is only intended, a push needs no more than before; a lower one holds for the next push', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db, 'r');
  const [changes, decisions] = [new RepositoryChanges(db), new Decisions(db, 'c1')];
  await changes.apply('r', { replicationFactor: 5 });
  t.is(await decisions.commit(step(repository, 0, ['n1', 'n2'])), 'committed');
  t.is(await decisions.commit(step(repository, 1, ['n1'])), 'refused', 'one of three is no quorum');
  await changes.apply('r', { replicationFactor: 1 });
  t.is(await decisions.commit(step(repository, 1, ['n1'])), 'committed');
  t.deepEqual((await new Replicas(db).ofNode('n2')).map(({ state }) => state), ['outdated']);
});
