import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { seed, storeTest } from './stores-under-test.ts';
import { Trash } from './trash.ts';

const LONG_MS = 500_000;
const NODES = ['n1', 'n2', 'n3'];
const ALL = { limit: 100 };
const OPEN = { state: 'open', limit: 100 } as const;

storeTest('a replica has one open job, whatever the number of reasons', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await Promise.all(['one', 'two', 'three'].map((reason) => jobs.ensure(repository.id, 'n1', 'outdated', reason)));
  await jobs.ensure(repository.id, 'n9', 'outdated', 'a replica that is not there');
  t.deepEqual((await jobs.page(OPEN)).map((job) => [job.node, job.state, job.fence]), [['n1', 'waiting', 0]]);
  t.deepEqual(await jobs.countOpen(), [{ state: 'waiting', reason: 'outdated', count: 1 }]);
});

storeTest('a job is claimed once, by one of two that claim at the same time', async (t, store) => {
  const db = await store.open();
  const other = store.dialect === 'mysql' ? await store.open() : db;
  const repository = await seed(db);
  for (const node of ['n1', 'n2', 'n3']) await new RepairJobs(db).ensure(repository.id, node, 'outdated', 'a test');
  const claims = await Promise.all([db, other, db].map((one, i) => (
    new RepairJobs(one).claim({ holder: `c${i}`, leaseMs: LONG_MS, nodes: NODES, limit: 3 }))));
  t.deepEqual(claims.flat().map((job) => job.node).sort(), ['n1', 'n2', 'n3']);
  t.true(claims.flat().every((job) => job.fence === 1 && job.attempt === 1 && job.state === 'running'));
  t.deepEqual(await new RepairJobs(db).claim({ holder: 'late', leaseMs: LONG_MS, nodes: NODES, limit: 3 }), []);
});

storeTest('no more jobs are claimed than asked for', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  for (const node of ['n1', 'n2', 'n3']) await jobs.ensure(repository.id, node, 'outdated', 'a test');
  t.is((await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 2 })).length, 2);
  t.deepEqual((await jobs.countOpen()).map(({ state, count }) => [state, count]).sort(), [['running', 2], ['waiting', 1]]);
});

storeTest('only jobs for the nodes that were named are claimed', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  for (const node of NODES) await jobs.ensure(repository.id, node, 'outdated', 'a test');
  t.deepEqual((await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: ['n2'], limit: 3 })).map(({ node }) => node), ['n2']);
  t.deepEqual(await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: [], limit: 3 }), []);
});

storeTest('after its lease a job is claimed anew, and the slow holder changes nothing any more', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n1'], 'outdated', 'a test');
  const [slow] = await jobs.claim({ holder: 'c1', leaseMs: 0, nodes: NODES, limit: 1 });
  // The same holder again: only the fence tells the two claims apart.
  const [next] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
  t.like(next, { fence: 2, attempt: 2 });
  const at = { generation: 0, digest: repository.digest, checked: false };
  t.is(await jobs.begin(slow!), 'lost');
  t.false(await jobs.report(slow!, { objects: 7 }, LONG_MS));
  t.false(await jobs.fail(slow!, 'too late', 0));
  t.false(await replicas.admit(slow!, at));
  t.false(await replicas.admit({ ...next!, holder: 'c2' }, at), 'another holder');
  t.like((await jobs.page(OPEN))[0], { state: 'running', fence: 2, lastError: null, objects: 0 });
  t.is((await replicas.countByState()).outdated, 1);
  t.false(await replicas.admit(next!, at), 'nobody has begun');
  t.is(await jobs.begin(next!), 'begun');
  t.true(await replicas.admit(next!, at));
  t.deepEqual(await jobs.page(OPEN), []);
});

storeTest('a clock that is set back keeps no job waiting for as long as it was wrong', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'outdated', 'a test');
  const claim = { holder: 'c1', leaseMs: 60_000, nodes: NODES, limit: 1 };
  t.is((await jobs.claim(claim)).length, 1);
  t.deepEqual(await jobs.claim(claim), [], 'control: an ordinary lease is kept');
  const ahead = new Date(Date.now() + 3_600_000);
  await db.sql.run('UPDATE repair_jobs SET lease_until = ?', [ahead]);
  const [job] = await jobs.claim(claim);
  t.is(job?.fence, 2);
  await jobs.fail(job!, 'a test', 60_000);
  t.deepEqual(await jobs.claim(claim), [], 'control: an ordinary pause is kept');
  await db.sql.run('UPDATE repair_jobs SET next_attempt_at = ?', [ahead]);
  t.is((await jobs.claim(claim)).length, 1);
});

storeTest('a report extends the lease, keeps a job from others, and is kept', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'outdated', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: 0, nodes: NODES, limit: 1 });
  t.true(await jobs.report(job!, { source: 'n2', way: 'fetch', round: 1, objects: 5, totalObjects: 9, bytes: 1e12, totalBytes: null }, LONG_MS));
  t.deepEqual(await jobs.claim({ holder: 'c2', leaseMs: LONG_MS, nodes: NODES, limit: 1 }), []);
  t.like(await jobs.get(job!.id), { source: 'n2', way: 'fetch', round: 1, objects: 5, totalObjects: 9, bytes: 1e12, totalBytes: null });
});

storeTest('work on a job makes its replica repairing, and a failure gives the old state back', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  const replicas = new Replicas(db);
  for (const state of ['outdated', 'diverged', 'missing', 'corrupt'] as const) {
    await replicas.mark(repository.id, ['n1'], state, `it is ${state}`);
    const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
    t.is(await jobs.begin(job!), 'begun');
    t.is((await replicas.countByState()).repairing, 1);
    t.true(await jobs.fail(job!, 'a test', 0));
    const [n1] = (await new Repositories(db).routeById(repository.id))!.replicas;
    t.like(n1, { state, reason: `it is ${state}` });
  }
});

storeTest('a job for a replica that has become current is done as soon as somebody begins it', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'outdated', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
  t.is(await jobs.begin(job!), 'current');
  t.is((await new Replicas(db).countByState()).current, 3);
  t.like(await jobs.get(job!.id), { state: 'done', holder: null });
});

storeTest('a worse reason takes an open job over, a lesser one leaves it', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n1'], 'outdated', 'behind');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
  await replicas.mark(repository.id, ['n1'], 'corrupt', 'a flipped bit');
  t.like(await jobs.get(job!.id), { state: 'waiting', reason: 'corrupt', detail: 'a flipped bit', attempt: 0 });
  t.false(await replicas.admit(job!, { generation: 0, digest: repository.digest, checked: false }), 'it may have looked at refs alone');
  await replicas.mark(repository.id, ['n1'], 'outdated', 'behind again');
  t.like(await jobs.get(job!.id), { reason: 'corrupt' });
});

storeTest('a cancelled job stays cancelled until its replica is marked anew', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  const replicas = new Replicas(db);
  await replicas.mark(repository.id, ['n1'], 'diverged', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
  await jobs.begin(job!);
  t.like(await jobs.cancel(job!.id), { state: 'cancelled' });
  t.is((await replicas.countByState()).diverged, 1, 'nobody repairs it any more');
  t.false(await jobs.report(job!, {}, LONG_MS));
  await jobs.ensureAll(10);
  t.deepEqual(await jobs.page(OPEN), []);
  t.like(await t.throwsAsync(jobs.cancel(job!.id)), { code: 'job_finished' });
  t.like(await t.throwsAsync(jobs.retry(job!.id)), { code: 'job_finished' });
  t.like(await t.throwsAsync(jobs.cancel('0'.repeat(32))), { code: 'job_not_found' });
  await replicas.mark(repository.id, ['n1'], 'diverged', 'found again');
  t.is((await jobs.page(OPEN)).length, 1);
  t.is((await jobs.page(ALL)).length, 2);
});

storeTest('a retry makes a waiting job due now', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'outdated', 'a test');
  const claim = { holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 };
  const [job] = await jobs.claim(claim);
  await jobs.fail(job!, 'a test', LONG_MS);
  t.deepEqual(await jobs.claim(claim), []);
  t.like(await jobs.retry(job!.id), { state: 'waiting', attempt: 0 });
  const [again] = await jobs.claim(claim);
  await jobs.fail(again!, 'a test', LONG_MS);
  await jobs.wake({ node: 'n2' });
  t.deepEqual(await jobs.claim(claim), []);
  await jobs.wake({ node: 'n1' });
  t.is((await jobs.claim(claim)).length, 1);
});

storeTest('finished jobs are kept until they are pruned, and pages go from the newest to the oldest', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  const replicas = new Replicas(db);
  for (let i = 0; i < 3; i++) {
    await replicas.mark(repository.id, ['n1'], 'outdated', `time ${i}`);
    const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
    await jobs.begin(job!);
    await replicas.admit(job!, { generation: 0, digest: repository.digest, checked: false });
  }
  const all = await jobs.page(ALL);
  t.is(all.length, 3);
  t.deepEqual(await jobs.page({ ...ALL, after: all[0]!.id }), all.slice(1));
  t.deepEqual(await jobs.page({ state: 'done', node: 'n1', repository: repository.id, limit: 2 }), all.slice(0, 2));
  t.deepEqual(await jobs.page({ ...ALL, node: 'n2' }), []);
  t.is(await jobs.prune(new Date(Date.now() - LONG_MS), 10), 0);
  t.is(await jobs.prune(new Date(Date.now() + LONG_MS), 2), 2);
  t.is((await jobs.page(ALL)).length, 1);
});

storeTest('a failed job waits for its next attempt, and its claim is over', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await jobs.ensure(repository.id, 'n1', 'outdated', 'a test');
  const [job] = await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 });
  t.true(await jobs.fail(job!, 'no route to host', LONG_MS));
  t.like((await jobs.page(OPEN))[0], { state: 'waiting', holder: null, leaseUntil: null, lastError: 'no route to host' });
  t.deepEqual(await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 1 }), []);
  t.false(await jobs.fail(job!, 'again', 0));
});

storeTest('a removed repository takes its jobs along', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new RepairJobs(db).ensure(repository.id, 'n1', 'outdated', 'a test');
  await new Trash(db).put(repository);
  await new Trash(db).purge(repository.id);
  t.deepEqual(await new RepairJobs(db).page(OPEN), []);
});

storeTest('a sweep opens a job for a replica that is not current and has none', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const jobs = new RepairJobs(db);
  await new Replicas(db).mark(repository.id, ['n1', 'n2'], 'outdated', 'a test');
  await jobs.claim({ holder: 'c1', leaseMs: LONG_MS, nodes: NODES, limit: 9 });
  await db.sql.run("DELETE FROM repair_jobs WHERE node_id = 'n1'");
  t.deepEqual((await jobs.page(OPEN)).map((job) => job.node), ['n2']);
  await jobs.ensureAll(10);
  t.deepEqual((await jobs.page(OPEN)).map((job) => job.node).sort(), ['n1', 'n2']);
  t.is((await jobs.page(OPEN)).filter((job) => job.state === 'running').length, 1);
});
