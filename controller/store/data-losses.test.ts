import { DataLosses } from './data-losses.ts';
import { Decisions } from './decisions.ts';
import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step, storeTest } from './stores-under-test.ts';
import { Trash } from './trash.ts';

storeTest('an accepted loss makes the source the truth above all generations, sends the others to repair, and is on record', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n1', 'n2']));
  await new Replicas(db).mark(repository.id, ['n1', 'n2'], 'missing', 'both disks are gone');
  const losses = new DataLosses(db);
  const loss = {
    repository: repository.id, repositoryName: repository.name, source: 'n3', acceptedBy: 'an operator', reason: 'no other way',
    before: { generation: 1, digest: digestOf(1) }, sourceGeneration: 0, after: { generation: 2, digest: digestOf(0), head: 'refs/heads/main' },
  };
  t.is(await losses.accept({ ...loss, before: { generation: 0, digest: digestOf(0) } }), undefined, 'the repository is not there any more');
  t.like(await losses.accept(loss), { source: 'n3', acceptedBy: 'an operator' });
  const route = (await new Repositories(db).routeById(repository.id))!;
  t.like(route.repository, { generation: 2, digest: digestOf(0) });
  t.deepEqual(route.replicas.map(({ node, state, generation }) => [node, state, generation]), [['n1', 'diverged', 1], ['n2', 'diverged', 1], ['n3', 'current', 2]]);
  t.deepEqual((await new RepairJobs(db).page({ state: 'open', limit: 9 })).map(({ node, reason }) => [node, reason]).sort(), [['n1', 'missing'], ['n2', 'missing']], 'the worse reason stays');
  t.like((await losses.page({ limit: 9 }))[0], { repositoryName: repository.name, sourceGeneration: 0, before: loss.before, reason: 'no other way' });
  await new Trash(db).put(repository);
  await new Trash(db).purge(repository.id);
  t.is((await losses.page({ limit: 9 })).length, 1, 'it outlives its repository');
});

storeTest('a loss never lowers a generation', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const at = { generation: 0, digest: digestOf(0) };
  await t.throwsAsync(new DataLosses(db).accept({
    repository: repository.id, repositoryName: repository.name, source: 'n3', acceptedBy: 'a', reason: 'b', before: at, sourceGeneration: 0,
    after: { ...at, head: 'refs/heads/main' },
  }), { instanceOf: RangeError });
});
