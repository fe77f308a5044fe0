import type { TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import { Decisions } from './decisions.ts';
import { RepairJobs } from './jobs.ts';
import { Outbox } from './outbox.ts';
import { Nodes } from './nodes.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step, storeTest } from './stores-under-test.ts';

storeTest('a new repository is routed to all its replicas, which are current', async (t, store) => {
  const db = await store.open();
  const { id } = await seed(db, 'team/project');
  const repositories = new Repositories(db);
  const route = await repositories.route('team/project');
  t.like(route!.repository, {
    id, name: 'team/project', objectFormat: 'sha1', generation: 0, digest: digestOf(0), replicationFactor: 3,
    defaultBranch: 'refs/heads/main', policy: { denyNonFastForwards: false, denyDeletes: false },
  });
  t.true(Math.abs(route!.repository.createdAt.getTime() - Date.now()) < 60_000);
  t.deepEqual(route!.replicas, ['n1', 'n2', 'n3'].map((node) => ({
    node, url: `http://${node}`, nodeState: 'active', state: 'current', generation: 0, digest: digestOf(0),
    reason: null, changedAt: route!.repository.createdAt, verifiedAt: null, checkedAt: null,
  })));
  t.deepEqual(await repositories.routeById(id), route);
  t.is(await repositories.route('team/other'), undefined);
});

storeTest('a name is found as it was given and not otherwise, and keeps out those that differ in case only', async (t, store) => {
  const db = await store.open();
  const { id } = await seed(db, 'team/Project');
  const repositories = new Repositories(db);
  t.is((await repositories.route('team/Project'))!.repository.id, id);
  t.is(await repositories.route('team/project'), undefined);
  t.is(await repositories.route('team/Project '), undefined, 'nor is a space at the end passed over');
  const refused = await t.throwsAsync<TrivetError>(seed(db, 'TEAM/project'), { code: 'repository_exists' });
  t.deepEqual(refused!.fields, { name: 'TEAM/project', existing: 'team/Project' });
});

storeTest('names from before the rule that differ in case only go on, and the oldest alone keeps others out', async (t, store) => {
  const db = await store.open();
  const older = await seed(db, 'old');
  const younger = await seed(db, 'young');
  await db.sql.run('UPDATE repositories SET name = ?, name_key = NULL WHERE id = ?', ['OLD', younger.id]);
  const repositories = new Repositories(db);
  t.is((await repositories.route('old'))!.repository.id, older.id);
  t.is((await repositories.route('OLD'))!.repository.id, younger.id);
  await t.throwsAsync(seed(db, 'Old'), { code: 'repository_exists' });
  await t.throwsAsync(seed(db, 'OLD'), { code: 'repository_exists' });
});

storeTest('a name is given once', async (t, store) => {
  const db = await store.open();
  await seed(db);
  await t.throwsAsync(seed(db), { code: 'repository_exists' });
  const both = await Promise.allSettled([seed(db, 'race'), seed(db, 'race')]);
  t.deepEqual(both.map((one) => one.status).sort(), ['fulfilled', 'rejected']);
});

storeTest('a repository can not be on a node that never registered', async (t, store) => {
  const db = await store.open();
  const input = {
    id: newId(), name: 'x', objectFormat: 'sha256' as const, defaultBranch: 'refs/heads/main', replicationFactor: 1,
    digest: digestOf(0), nodes: ['nowhere'],
  };
  await t.throwsAsync(new Repositories(db).create(input), { code: 'not_enough_nodes' });
  t.is(await new Repositories(db).route('x'), undefined);
});

storeTest('a replica that could not be made is missing from the start, and has a job', async (t, store) => {
  const db = await store.open();
  await seed(db);
  const id = newId();
  await new Repositories(db).create({
    id, name: 'x', objectFormat: 'sha1', defaultBranch: 'refs/heads/main', replicationFactor: 3, digest: digestOf(0), nodes: ['n1', 'n2', 'n3'], missing: ['n2'],
  });
  const route = (await new Repositories(db).routeById(id))!;
  t.deepEqual(route.replicas.map(({ state }) => state), ['current', 'missing', 'current']);
  t.deepEqual((await new RepairJobs(db).page({ state: 'open', limit: 9 })).map(({ node, reason }) => [node, reason]), [['n2', 'missing']]);
});

storeTest('repositories are listed by name, page by page', async (t, store) => {
  const db = await store.open();
  for (const name of ['b', 'a', 'C', 'd']) await seed(db, name);
  const repositories = new Repositories(db);
  const first = await repositories.list({ limit: 3 });
  t.deepEqual(first.map((route) => route.repository.name), ['C', 'a', 'b']);
  t.true(first.every((route) => route.replicas.length === 3));
  const rest = await repositories.list({ after: 'b', limit: 3 });
  t.deepEqual(rest.map((route) => route.repository.name), ['d']);
});

storeTest('a node keeps its state when it registers again', async (t, store) => {
  const db = await store.open();
  const nodes = new Nodes(db);
  const boots = [newId(), newId()] as const;
  await nodes.register({ id: 'n1', url: 'http://one', boot: boots[0] });
  await nodes.setState('n1', 'quiesced');
  await nodes.register({ id: 'n1', url: 'http://two', boot: boots[1] });
  const [node] = await nodes.list();
  t.like(node, { id: 'n1', url: 'http://two', boot: boots[1], state: 'quiesced' });
  t.true(Math.abs(node!.seenAt.getTime() - Date.now()) < 60_000);
  await t.throwsAsync(nodes.setState('n2', 'active'), { code: 'node_not_found' });
});

storeTest('events come in order, and only what was delivered is taken out', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const decisions = new Decisions(db, 'c1');
  for (let i = 0; i < 3; i++) {
    await decisions.commit({ ...step(repository, i), events: [{ kind: 'push', payload: { i } }] });
  }
  const events = new Outbox(db);
  const [first, second] = await events.after(0, 2);
  t.is(await events.prune([second!.sequence]), 1);
  t.deepEqual((await events.after(0, 10)).map((event) => event.payload), [{ i: 0 }, { i: 2 }]);
  t.deepEqual((await events.after(first!.sequence, 10)).map((event) => event.payload), [{ i: 2 }]);
});

storeTest('sequences and generations hold more than 32 bits', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const large = 2 ** 40;
  await db.sql.run('INSERT INTO events (sequence, repository_id, kind, payload, created_at) VALUES (?, ?, ?, ?, ?)',
    [large, repository.id, 'push', '{}', new Date()]);
  t.is((await new Outbox(db).after(large - 1, 1))[0]?.sequence, large);
  t.is(await new Outbox(db).prune([large]), 1);
  await db.sql.run('UPDATE repositories SET generation = ?', [large]);
  t.is((await new Repositories(db).routeById(repository.id))!.repository.generation, large);
});
