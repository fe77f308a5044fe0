import type { TrivetError } from '@trivet/proto/errors.ts';
import { Decisions } from './decisions.ts';
import { Findings } from './findings.ts';
import { RepairJobs } from './jobs.ts';
import { trashName } from './names.ts';
import { Removals } from './removals.ts';
import { Replicas } from './replicas.ts';
import { Repositories } from './repositories.ts';
import { seed, step, storeTest } from './stores-under-test.ts';
import { Trash } from './trash.ts';
import { Verifications } from './verifications.ts';

storeTest('what is in the trash has no name that anybody could give, is on no list but its own, and frees its name', async (t, store) => {
  const db = await store.open();
  const [trash, repositories] = [new Trash(db), new Repositories(db)];
  const first = await seed(db, 'team/project');
  await seed(db, 'another');
  t.true(await trash.put(first));
  t.false(await trash.put(first), 'once');
  t.is(await repositories.route('team/project'), undefined);
  t.deepEqual((await repositories.list({ limit: 9 })).map(({ repository }) => repository.name), ['another']);
  t.deepEqual((await repositories.list({ after: '', limit: 9 })).length, 1);
  const second = await seed(db, 'Team/Project');
  t.true(await trash.put(second), 'two of one name may lie there');
  const [oldest, newest] = await repositories.trash({ limit: 9 });
  t.like(oldest!.repository, { id: first.id, name: trashName(first.id), state: 'trashed', trashed: { name: 'team/project' } });
  t.is(oldest!.replicas.length, 3);
  t.is(newest!.repository.id, second.id);
  t.deepEqual((await repositories.trash({ after: first.id, limit: 9 })).map(({ repository }) => repository.id), [second.id]);
});

storeTest('a decision for a repository in the trash is refused, and its push leaves nothing in SQL', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  await new Trash(db).put(repository);
  const decision = step(repository, 0);
  t.is(await decisions.commit(decision), 'refused');
  t.is(await decisions.outcome(decision.transactions), undefined);
  t.deepEqual(await decisions.settle(decision), { outcome: 'abort' });
  t.is((await new Repositories(db).routeById(repository.id))!.repository.generation, 0);
});

storeTest('of a decision and a deletion at once, what is restored has every push that was committed', async (t, store) => {
  const [one, two] = [await store.open(), await store.open()];
  for (let i = 0; i < 10; i++) {
    const repository = await seed(one, `race-${i}`);
    const [decided, put] = await Promise.all([new Decisions(one, 'c1').commit(step(repository, 0)), new Trash(two).put(repository)]);
    t.true(put);
    await new Trash(two).restore(repository.id, `race-${i}`);
    const route = (await new Repositories(one).route(`race-${i}`))!;
    t.is(route.repository.generation, decided === 'committed' ? 1 : 0);
    t.true(route.replicas.every(({ generation }) => generation === route.repository.generation));
  }
});

storeTest('a restored repository is what it was, under its old name or a new one, and never under one that is taken', async (t, store) => {
  const db = await store.open();
  const [trash, repositories] = [new Trash(db), new Repositories(db)];
  const first = await seed(db, 'team/project');
  await new Decisions(db, 'c1').commit(step(first, 0));
  const before = (await repositories.routeById(first.id))!;
  await trash.put(first);
  await trash.restore(first.id, 'team/project');
  t.deepEqual(await repositories.route('team/project'), before);
  await t.throwsAsync(trash.restore(first.id, 'team/project'), { code: 'repository_not_found' });
  await trash.put(first);
  const second = await seed(db, 'team/project');
  const refused = await t.throwsAsync<TrivetError>(trash.restore(first.id, 'Team/Project'), { code: 'repository_exists' });
  t.deepEqual(refused!.fields, { name: 'Team/Project', existing: 'team/project' });
  await trash.restore(first.id, 'team/old');
  t.is((await repositories.route('team/old'))!.repository.id, first.id);
  t.is((await repositories.route('team/project'))!.repository.id, second.id);
  await t.throwsAsync(seed(db, 'TEAM/OLD'), { code: 'repository_exists' }, 'the new name has its key');
});

storeTest('what is in the trash is verified and repaired as before', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await new Trash(db).put(repository);
  const verifications = new Verifications(db);
  await verifications.plan('verify', 1, 9, () => 0);
  t.truthy(await verifications.claim('verify', ['n1'], 1_000));
  t.true(await new Findings(db).replica(repository.id, 'n2', 'corrupt', 'a bit flipped'));
  const [job] = await new RepairJobs(db).claim({ holder: 'c1', leaseMs: 1_000, nodes: ['n2'], limit: 1 });
  t.is(await new RepairJobs(db).begin(job!), 'begun');
});

storeTest('a purge takes the rows away and has every copy removed, but keeps the decisions', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const [trash, decisions] = [new Trash(db), new Decisions(db, 'c1')];
  const decision = step(repository, 0);
  await decisions.commit(decision);
  t.false(await trash.purge(repository.id), 'only out of the trash');
  await trash.put(repository);
  await new Findings(db).replica(repository.id, 'n2', 'corrupt', 'a bit flipped');
  t.true(await trash.purge(repository.id));
  t.false(await trash.purge(repository.id));
  t.is(await new Repositories(db).routeById(repository.id), undefined);
  const removals = new Removals(db);
  const due = await removals.due(['n1', 'n2', 'n3'], 9);
  t.deepEqual(due, ['n1', 'n2', 'n3'].map((node) => ({ repository: repository.id, node })));
  t.deepEqual(await removals.due(['n2'], 9), [due[1]!]);
  for (const removal of due) await removals.done(removal);
  t.deepEqual(await removals.due(['n1', 'n2', 'n3'], 9), []);
  t.is((await new Findings(db).page({ open: true, limit: 9 })).length, 0);
  t.is(await decisions.outcome(decision.transactions), 'commit');
});

storeTest('a copy that is a replica again is not removed', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  await db.sql.run('INSERT INTO removals (repository_id, node_id, reason, created_at) VALUES (?, ?, ?, ?)', [repository.id, 'n1', 'moved', new Date()]);
  t.deepEqual(await new Removals(db).due(['n1'], 9), []);
  t.deepEqual(await new Removals(db).ofNode('n1'), [repository.id]);
  t.is((await new Replicas(db).ofNode('n1')).length, 1);
});

storeTest('only what has been in the trash for longer than its time is taken for expired', async (t, store) => {
  const db = await store.open();
  const [old, young] = [await seed(db, 'old'), await seed(db, 'young')];
  await seed(db, 'used');
  const trash = new Trash(db);
  await trash.put(old);
  await trash.put(young);
  await db.sql.run('UPDATE repositories SET trashed_at = ? WHERE id = ?', [new Date(Date.now() - 10_000_000), old.id]);
  t.deepEqual(await trash.expired(5_000_000, 9), [old.id]);
  t.deepEqual(await trash.expired(20_000_000, 9), []);
});
