import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { seed, storeTest } from './stores-under-test.ts';

const LONG_MS = 600_000;

storeTest('a replica has one open job, whatever the number of reasons', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await Promise.all(['one', 'two', 'three'].map((reason) => jobs.ensure(repository.id, 'n1', reason)));
  await jobs.ensure(repository.id, 'n9', 'a replica that is not there');
  t.deepEqual((await jobs.list()).map((job) => [job.node, job.state, job.fence]), [['n1', 'waiting', 0]]);
  t.deepEqual(await jobs.countByState(), { waiting: 1, running: 0 });
});

storeTest('a job is claimed once, by one of two that claim at the same time', async (t, store) => {
  const db = await store.open();
  const other = store.dialect === 'mysql' ? await store.open() : db;
  const repository = await seed(db);
  for (const node of ['n1', 'n2', 'n3']) await new RepairJobs(db).ensure(repository.id, node, 'a test');
  const claims = await Promise.all([db, other, db].map((one, i) => (
    new RepairJobs(one).claim({ holder: `c${i}`, leaseMs: LONG_MS, limit: 3 }))));
  t.deepEqual(claims.flat().map((job) => job.node).sort(), ['n1', 'n2', 'n3']);
  t.true(claims.flat().every((job) => job.fence === 1 && job.attempt === 1 && job.state === 'running'));
  t.deepEqual(await new RepairJobs(db).claim({ holder: 'late', leaseMs: LONG_MS, limit: 3 }), []);
});

storeTest('no more jobs are claimed than asked for', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  for (const node of ['n1', 'n2', 'n3']) await jobs.ensure(repository.id, node, 'a test');
  t.is((await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 2 })).length, 2);
  t.deepEqual(await jobs.countByState(), { waiting: 1, running: 2 });
});

storeTest('after its lease a job is claimed anew, and the slow holder changes nothing any more', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'a test');
  const [slow] = await jobs.claim({ holder: 'c1', leaseMs: 0, limit: 1 });
  // The same holder again: only the fence tells the two claims apart.
  const [next] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 1 });
  t.like(next, { fence: 2, attempt: 2 });
  t.false(await jobs.renew(slow!, LONG_MS));
  t.false(await jobs.fail(slow!, 'too late', 0));
  t.false(await jobs.finish(slow!));
  t.false(await jobs.finish({ ...next!, holder: 'c2' }), 'another holder');
  t.like((await jobs.list())[0], { state: 'running', fence: 2, lastError: null });
  t.true(await jobs.finish(next!));
  t.deepEqual(await jobs.list(), []);
});

storeTest('a renewed lease keeps a job from others', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: 0, limit: 1 });
  t.true(await jobs.renew(job!, LONG_MS));
  t.deepEqual(await jobs.claim({ holder: 'c2', leaseMs: LONG_MS, limit: 1 }), []);
});

storeTest('a failed job waits for its next attempt, and its claim is over', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 1 });
  t.true(await jobs.fail(job!, 'no route to host', LONG_MS));
  t.like((await jobs.list())[0], { state: 'waiting', holder: null, leaseUntil: null, lastError: 'no route to host' });
  t.deepEqual(await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 1 }), []);
  t.false(await jobs.fail(job!, 'again', 0));
});

storeTest('a removed repository takes its jobs along', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new RepairJobs(db).ensure(repository.id, 'n1', 'a test');
  await new Repositories(db).remove(repository.name);
  t.deepEqual(await new RepairJobs(db).list(), []);
});

storeTest('a sweep opens a job for a replica that is not current and has none', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await new Replicas(db).mark(repository.id, ['n1', 'n2'], 'outdated', 'a test');
  const claimed = (await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, limit: 9 })).find((job) => job.node === 'n1')!;
  await jobs.finish(claimed);
  t.deepEqual((await jobs.list()).map((job) => job.node), ['n2']);
  await jobs.ensureAll(10);
  t.deepEqual((await jobs.list()).map((job) => job.node).sort(), ['n1', 'n2']);
  t.is((await jobs.list()).filter((job) => job.state === 'running').length, 1);
});
