import { newId } from '@trivet/proto/id.ts';
import { Decisions } from './decisions.ts';
import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step, storeTest } from './stores-under-test.ts';
import { untilBlocked } from './until-blocked.ts';

storeTest('a marked replica has its state, its reason and one repair job', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n2', 'n3'], 'diverged', 'x'.repeat(2_000));
  await replicas.mark(repository.id, ['n3', 'n9'], 'repairing', 'being repaired');
  await replicas.mark(newId(), ['n1'], 'missing', 'of no repository');
  const route = await new Repositories(db).routeById(repository.id);
  t.deepEqual(route!.replicas.map((replica) => [replica.node, replica.state, replica.reason]), [
    ['n1', 'current', null], ['n2', 'diverged', 'x'.repeat(500)], ['n3', 'repairing', 'being repaired'],
  ]);
  t.deepEqual((await new RepairJobs(db).list()).map((job) => job.node).sort(), ['n2', 'n3']);
  t.deepEqual(await replicas.countByState(), { current: 1, outdated: 0, diverged: 1, repairing: 1, missing: 0 });
});

storeTest('a node learns what it holds and what it should hold', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n1', 'n2']));
  t.deepEqual(await new Replicas(db).ofNode('n3'), [{
    repository: repository.id, state: 'outdated', generation: 0, digest: digestOf(0),
    repositoryGeneration: 1, repositoryDigest: digestOf(1),
  }]);
});

storeTest('a repaired replica is admitted at its repository position only, and its job goes', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n1', 'n2']));
  const at = { repository: repository.id, node: 'n3' };
  t.false(await replicas.admit({ ...at, generation: 0, digest: digestOf(0) }));
  t.false(await replicas.admit({ ...at, generation: 1, digest: digestOf(0) }));
  t.false(await replicas.admit({ ...at, node: 'n9', generation: 1, digest: digestOf(1) }));
  t.false(await replicas.admit({ ...at, repository: newId(), generation: 1, digest: digestOf(1) }));
  t.is((await replicas.countByState()).outdated, 1);
  t.is((await new RepairJobs(db).list()).length, 1);
  t.true(await replicas.admit({ ...at, generation: 1, digest: digestOf(1) }));
  t.is((await replicas.countByState()).current, 3);
  t.deepEqual(await new RepairJobs(db).list(), []);
});

storeTest('an admission that a decision overtakes is refused', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n3'], 'outdated', 'slow');
  let admitting: Promise<boolean> | undefined;
  await db.sql.transaction(async (statements) => {
    await statements.run('UPDATE repositories SET generation = 1, refs_digest = ?', [digestOf(1)]);
    admitting = replicas.admit({ repository: repository.id, node: 'n3', generation: 0, digest: digestOf(0) });
    await untilBlocked(db, admitting);
  });
  t.false(await admitting);
  t.is((await replicas.countByState()).outdated, 1);
});

storeTest('in whatever order commit and admission come, no replica is current but behind', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  const decisions = new Decisions(db, 'c1');
  for (let generation = 0; generation < 10; generation++) {
    await replicas.mark(repository.id, ['n3'], 'repairing', 'a test');
    const admit = () => replicas.admit({
      repository: repository.id, node: 'n3', generation, digest: digestOf(generation),
    });
    const commit = () => decisions.commit(step(repository, generation, ['n1', 'n2']));
    await Promise.all(generation % 2 === 0 ? [admit(), commit()] : [commit(), admit()]);
    const [held] = await replicas.ofNode('n3');
    t.not(held!.state, 'current');
    t.is((await new RepairJobs(db).list()).length, 1);
  }
});
