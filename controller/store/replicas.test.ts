import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { Decisions } from './decisions.ts';
import { Findings } from './findings.ts';
import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step, storeTest } from './stores-under-test.ts';
import type { RepairJob } from './rows.ts';
import { untilBlocked } from './until-blocked.ts';

const OPEN = { state: 'open', limit: 100 } as const;

/** The open job of n3, in the hands of c1 by a claim of now, and begun. */
async function claimed(db: Database): Promise<RepairJob> {
  const jobs = new RepairJobs(db);
  await db.sql.run("UPDATE repair_jobs SET state = 'waiting', attempt = 0 WHERE node_id = 'n3' AND open = 1");
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: 600_000, nodes: ['n3'], limit: 1 });
  await jobs.begin(job!);
  return job!;
}

storeTest('a marked replica has its state, its reason and one repair job', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n2', 'n3'], 'diverged', 'x'.repeat(2_000));
  await replicas.mark(repository.id, ['n3', 'n9'], 'corrupt', 'a flipped bit');
  await replicas.mark(newId(), ['n1'], 'missing', 'of no repository');
  const route = await new Repositories(db).routeById(repository.id);
  t.deepEqual(route!.replicas.map((replica) => [replica.node, replica.state, replica.reason]), [
    ['n1', 'current', null], ['n2', 'diverged', 'x'.repeat(500)], ['n3', 'corrupt', 'a flipped bit'],
  ]);
  t.deepEqual((await new RepairJobs(db).page(OPEN)).map((job) => job.node).sort(), ['n2', 'n3']);
  t.deepEqual(await replicas.countByState(), { current: 1, outdated: 0, diverged: 1, corrupt: 1, repairing: 0, missing: 0 });
});

storeTest('a mark covers up nothing worse, and says nothing of a replica that has moved on since', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  const stateOf = async (node: string) => (await new Repositories(db).routeById(repository.id))!.replicas.find((replica) => replica.node === node)!.state;
  await replicas.mark(repository.id, ['n1'], 'corrupt', 'a flipped bit');
  for (const state of ['outdated', 'diverged', 'missing'] as const) await replicas.mark(repository.id, ['n1'], state, 'a test');
  t.is(await stateOf('n1'), 'corrupt');
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n2', 'n3']));
  await replicas.mark(repository.id, ['n2'], 'outdated', 'too late', 0);
  t.is(await stateOf('n2'), 'current');
  await replicas.mark(repository.id, ['n2'], 'outdated', 'in time', 1);
  t.is(await stateOf('n2'), 'outdated');
  await replicas.mark(repository.id, ['n3'], 'outdated', 'slow');
  await claimed(db);
  await replicas.mark(repository.id, ['n3'], 'outdated', 'late', 9);
  t.is(await stateOf('n3'), 'repairing', 'its repair goes on');
});

storeTest('a node learns what it holds and what it should hold', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n1', 'n2']));
  t.deepEqual(await new Replicas(db).ofNode('n3'), [{
    repository: repository.id, repositoryName: repository.name, state: 'outdated', generation: 0, digest: digestOf(0),
    repositoryGeneration: 1, repositoryDigest: digestOf(1),
  }]);
});

storeTest('a repaired replica is admitted at its repository position only, and its job goes', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await new Decisions(db, 'c1').commit(step(repository, 0, ['n1', 'n2']));
  const job = await claimed(db);
  const admit = (generation: number, digest: string, of = job) => replicas.admit(of, { generation, digest, checked: false });
  t.false(await admit(0, digestOf(0)));
  t.false(await admit(1, digestOf(0)));
  t.false(await admit(1, digestOf(1), { ...job, node: 'n9' }));
  t.false(await admit(1, digestOf(1), { ...job, repository: newId() }));
  t.is((await replicas.countByState()).repairing, 1);
  t.is((await new RepairJobs(db).page(OPEN)).length, 1);
  t.true(await admit(1, digestOf(1)));
  t.is((await replicas.countByState()).current, 3);
  t.deepEqual(await new RepairJobs(db).page(OPEN), []);
});

storeTest('an admission resolves what was found, and tells when refs were verified and objects checked', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const findings = new Findings(db);
  t.true(await findings.replica(repository.id, 'n3', 'corrupt', 'a flipped bit'));
  t.is((await new Replicas(db).countByState()).corrupt, 1, 'out of service at once');
  t.true(await new Replicas(db).admit(await claimed(db), { generation: 0, digest: repository.digest, checked: true }));
  t.like((await findings.page({ limit: 9 }))[0], { node: 'n3', kind: 'corrupt', repositoryName: repository.name });
  t.deepEqual(await findings.page({ open: true, limit: 9 }), []);
  const n3 = (await new Repositories(db).routeById(repository.id))!.replicas[2]!;
  t.true(n3.verifiedAt instanceof Date && n3.checkedAt instanceof Date);
});

storeTest('an admission that a decision overtakes is refused', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n3'], 'outdated', 'slow');
  const job = await claimed(db);
  let admitting: Promise<boolean> | undefined;
  await db.sql.transaction(async (statements) => {
    await statements.run('UPDATE repositories SET generation = 1, refs_digest = ?', [digestOf(1)]);
    admitting = replicas.admit(job, { generation: 0, digest: digestOf(0), checked: false });
    await untilBlocked(db, admitting);
  });
  t.false(await admitting);
  t.is((await replicas.countByState()).repairing, 1);
});

storeTest('in whatever order commit and admission come, no replica is current but behind', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const replicas = new Replicas(db);
  const decisions = new Decisions(db, 'c1');
  for (let generation = 0; generation < 10; generation++) {
    await replicas.mark(repository.id, ['n3'], 'diverged', 'a test');
    const job = await claimed(db);
    const admit = () => replicas.admit(job, { generation, digest: digestOf(generation), checked: false });
    const commit = () => decisions.commit(step(repository, generation, ['n1', 'n2']));
    await Promise.all(generation % 2 === 0 ? [admit(), commit()] : [commit(), admit()]);
    const [held] = await replicas.ofNode('n3');
    t.not(held!.state, 'current');
    t.is((await new RepairJobs(db).page(OPEN)).length, 1);
  }
});
