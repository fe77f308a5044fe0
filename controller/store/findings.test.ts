import { newId } from '@trivet/proto/id.ts';
import { Findings } from './findings.ts';
import { RepairJobs } from './jobs.ts';
import { Replicas } from './replicas.ts';
import { seed, storeTest } from './stores-under-test.ts';

const ALL = { limit: 100 };

storeTest('a finding takes the replica out of service and opens its job, and is news once', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const findings = new Findings(db);
  t.true(await findings.replica(repository.id, 'n1', 'corrupt', 'a flipped bit'));
  t.false(await findings.replica(repository.id, 'n1', 'corrupt', 'another flipped bit'));
  t.true(await findings.replica(repository.id, 'n2', 'diverged', 'a ref was edited'));
  t.like(await new Replicas(db).countByState(), { corrupt: 1, diverged: 1, current: 1 });
  t.deepEqual((await new RepairJobs(db).page({ state: 'open', limit: 9 })).map(({ reason }) => reason).sort(), ['corrupt', 'diverged']);
  t.deepEqual((await findings.page(ALL)).map(({ node, kind }) => [node, kind]).sort(), [['n1', 'corrupt'], ['n2', 'diverged']]);
  t.deepEqual(await findings.countOpen(), { outdated: 0, diverged: 1, corrupt: 1, missing: 0, unknown: 0 });
});

storeTest('a directory that SQL does not know is a finding until it is gone', async (t, store) => {
  const db = await store.open();
  const findings = new Findings(db);
  const [one, two] = [newId(), newId()];
  t.true(await findings.unknown(one, 'n1', 'who knows'));
  t.true(await findings.unknown(two, 'n1', 'who knows'));
  t.true(await findings.unknown(one, 'n2', 'who knows'));
  t.false(await findings.unknown(one, 'n1', 'who knows'));
  await findings.resolveUnknown('n1', [two]);
  t.deepEqual((await findings.page({ ...ALL, open: true })).map((each) => [each.node, each.repository, each.repositoryName]).sort(), [['n1', two, null], ['n2', one, null]]);
  t.true(await findings.unknown(one, 'n1', 'back again'), 'news once more');
});

storeTest('pages go from the newest to the oldest, by repository and node, and resolved ones are pruned', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const findings = new Findings(db);
  for (let i = 0; i < 3; i++) await findings.unknown(newId(), 'n1', `number ${i}`);
  await findings.replica(repository.id, 'n2', 'missing', 'gone');
  const all = await findings.page(ALL);
  t.is(all.length, 4);
  t.deepEqual(await findings.page({ limit: 2, after: all[1]!.id }), all.slice(2));
  t.is((await findings.page({ ...ALL, repository: repository.id }))[0]!.repositoryName, repository.name);
  t.is((await findings.page({ ...ALL, node: 'n1' })).length, 3);
  await findings.resolveUnknown('n1', []);
  t.is((await findings.page({ ...ALL, open: false })).length, 3);
  t.is(await findings.prune(new Date(Date.now() - 60_000), 10), 0);
  t.is(await findings.prune(new Date(Date.now() + 60_000), 10), 3);
  t.is((await findings.page(ALL)).length, 1);
});
