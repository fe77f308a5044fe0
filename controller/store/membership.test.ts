import { newId } from '@trivet/proto/id.ts';
import { Decisions } from './decisions.ts';
import type { Database } from './database.ts';
import { RepairJobs } from './jobs.ts';
import { Membership } from './membership.ts';
import { Nodes } from './nodes.ts';
import { Removals } from './removals.ts';
import { Repositories } from './repositories.ts';
import { Replicas } from './replicas.ts';
import type { Repository } from './rows.ts';
import { seed, step, storeTest } from './stores-under-test.ts';
import { Verifications } from './verifications.ts';

const LATELY = { heardWithinMs: 60_000 };

interface Scene { db: Database; members: Membership; repository: Repository; nodes: Nodes }

/** A repository on n1, n2 and n3, all heard of, and a node n4 without it. */
async function scene(db: Database): Promise<Scene> {
  const repository = await seed(db);
  const nodes = new Nodes(db);
  await nodes.register({ id: 'n4', url: 'http://n4', boot: newId() });
  await nodes.heard(['n1', 'n2', 'n3', 'n4']);
  return { db, members: new Membership(db), repository, nodes };
}

/** Gives it a fourth replica on n4, current, and all of them verified. */
async function withFourth(db: Database): Promise<Scene & { takeAway(node: string): Promise<boolean> }> {
  const found = await scene(db);
  const { members, repository } = found;
  await members.add({ repository: repository.id, node: 'n4', reason: 'move', detail: '' });
  await fill(db, repository);
  await verify(db, repository, ['n1', 'n2', 'n3', 'n4']);
  return { ...found, takeAway: (node) => members.takeAway({ repository: repository.id, node, reason: 'moved', ...LATELY }) };
}

/** As a repair does. */
async function fill(db: Database, repository: Repository): Promise<void> {
  const jobs = new RepairJobs(db);
  const [job] = await jobs.claim({ holder: 'c', leaseMs: 60_000, nodes: ['n4'], limit: 1 });
  await jobs.begin(job!);
  const { generation, digest } = (await new Repositories(db).routeById(repository.id))!.repository;
  if (!await new Replicas(db).admit(job!, { generation, digest, checked: false })) throw new Error('not admitted');
}

/** At least a millisecond after they became current. */
async function verify(db: Database, repository: Repository, nodes: readonly string[]): Promise<void> {
  await new Promise((done) => { setTimeout(done, 5); });
  for (const node of nodes) await new Verifications(db).done({ repository: repository.id, node, kind: 'verify' });
}

const nodesOf = async (db: Database, { id }: Repository) => (await new Repositories(db).routeById(id))!.replicas.map(({ node }) => node);

storeTest('a replica that is added is missing, and has the job that fills it; a second time changes nothing', async (t, store) => {
  const { db, members, repository } = await scene(await store.open());
  const input = { repository: repository.id, node: 'n4', reason: 'move', detail: 'instead of n1' } as const;
  t.true(await members.add(input));
  t.false(await members.add(input));
  const route = (await new Repositories(db).routeById(repository.id))!;
  t.like(route.replicas[3], { node: 'n4', state: 'missing', reason: 'instead of n1' });
  t.deepEqual((await new RepairJobs(db).page({ state: 'open', limit: 9 })).map(({ node, reason }) => [node, reason]), [['n4', 'move']]);
  t.deepEqual(await members.moves(), new Map([['n4', 1]]));
});

storeTest('no replica is added on a node that isn\'t active, isn\'t known, or has a copy still to be deleted', async (t, store) => {
  const { db, members, repository, nodes } = await scene(await store.open());
  const add = (node: string) => members.add({ repository: repository.id, node, reason: 'move', detail: '' });
  for (const state of ['draining', 'quiesced'] as const) {
    await nodes.setState('n4', state);
    t.false(await add('n4'));
  }
  await nodes.setState('n4', 'active');
  t.false(await add('nobody'));
  await db.sql.run("INSERT INTO removals (repository_id, node_id, reason, created_at) VALUES (?, 'n4', 'moved', ?)", [repository.id, new Date()]);
  t.false(await add('n4'));
  await new Removals(db).done({ repository: repository.id, node: 'n4' });
  t.true(await add('n4'));
});

storeTest('a replica goes with its jobs once the others are current and verified, and its copy is to be deleted', async (t, store) => {
  const { db, takeAway, repository } = await withFourth(await store.open());
  await new Replicas(db).mark(repository.id, ['n1'], 'outdated', 'it was away');
  t.true(await takeAway('n1'));
  t.deepEqual(await nodesOf(db, repository), ['n2', 'n3', 'n4']);
  t.deepEqual(await new RepairJobs(db).page({ state: 'open', limit: 9 }), []);
  t.deepEqual(await new Removals(db).due(['n1'], 9), [{ repository: repository.id, node: 'n1' }]);
  t.false(await takeAway('n1'), 'it is gone already');
});

// Each of these takes one condition away from a replica that may go otherwise (the test above is their control).
const CONDITIONS: [name: string, spoil: (scene: Scene) => Promise<unknown>][] = [
  ['one of the others isn\'t current', ({ db, repository }) => new Replicas(db).mark(repository.id, ['n2'], 'outdated', 'x')],
  ['one of the others wasn\'t verified since it became current', ({ db, repository }) => (
    db.sql.run("UPDATE replicas SET changed_at = verified_at WHERE repository_id = ? AND node_id = 'n2'", [repository.id]))],
  ['one of the others never was verified', ({ db, repository }) => (
    db.sql.run("UPDATE replicas SET verified_at = NULL WHERE repository_id = ? AND node_id = 'n2'", [repository.id]))],
  ['one of the others holds another generation than SQL', ({ db, repository }) => (
    db.sql.run("UPDATE replicas SET generation = 7 WHERE repository_id = ? AND node_id = 'n2'", [repository.id]))],
  ['the node of one of the others is draining', ({ nodes }) => nodes.setState('n2', 'draining')],
  ['the node of one of the others was not heard of lately', ({ db }) => (
    db.sql.run("UPDATE nodes SET heard_at = ? WHERE id = 'n2'", [new Date(Date.now() - 3_600_000)]))],
  ['nobody ever heard of the node of one of the others', ({ db }) => db.sql.run("UPDATE nodes SET heard_at = NULL WHERE id = 'n2'")],
  ['a higher factor is intended', ({ db, repository }) => db.sql.run('UPDATE repositories SET intended_factor = 4 WHERE id = ?', [repository.id])],
];

for (const [name, spoil] of CONDITIONS) {
  storeTest(`no replica goes while ${name}`, async (t, store) => {
    const found = await withFourth(await store.open());
    await spoil(found);
    t.false(await found.takeAway('n1'));
    t.deepEqual(await nodesOf(found.db, found.repository), ['n1', 'n2', 'n3', 'n4']);
    t.deepEqual(await new Removals(found.db).due(['n1'], 9), []);
  });
}

storeTest('a push that missed a replica and the going of another one never both count on the same', async (t, store) => {
  const { db, takeAway, repository } = await withFourth(await store.open());
  const decisions = new Decisions(db, 'c');
  const [committed, gone] = await Promise.all([
    decisions.commit(step(repository, 0, ['n1', 'n2'])), takeAway('n1'),
  ]);
  // Either the push came first, and n3 and n4 missed it; or n1 went first, and n2 alone is no quorum.
  t.true((committed === 'committed') !== gone, `${committed}, ${gone}`);
});

storeTest('of a dead node\'s replicas those go that have another newest one on a node that is there', async (t, store) => {
  const { db, members, repository } = await scene(await store.open());
  const abandon = (node: string) => members.takeAway({ repository: repository.id, node, reason: 'moved', ...LATELY, dead: true });
  await new Replicas(db).mark(repository.id, ['n2'], 'outdated', 'x');
  t.true(await abandon('n1'));
  t.false(await abandon('n3'), 'the only newest one stays');
  t.deepEqual(await nodesOf(db, repository), ['n2', 'n3']);
});

storeTest('a factor rises only as far as there are current replicas, and the intention is forgotten when all is so', async (t, store) => {
  const { db, members, repository } = await scene(await store.open());
  const factor = async () => (await new Repositories(db).routeById(repository.id))!.repository.replicationFactor;
  t.false(await members.settleFactor(repository.id));
  await db.sql.run('UPDATE repositories SET intended_factor = 4 WHERE id = ?', [repository.id]);
  await members.add({ repository: repository.id, node: 'n4', reason: 'new_replica', detail: '' });
  t.false(await members.settleFactor(repository.id), 'the new one is not current');
  t.is(await factor(), 3);
  await fill(db, repository);
  t.true(await members.settleFactor(repository.id));
  t.is(await factor(), 4);
  t.like((await members.of([repository.id]))[0], { factor: 4, intended: 4, changing: false });
  t.false(await members.settleFactor(repository.id));
});

storeTest('what is misplaced is found page by page: too few, too many, on a leaving node, zones shared without need', async (t, store) => {
  const db = await store.open();
  const names = ['fits', 'few', 'many', 'changing', 'leaving', 'trashed'];
  const ids = new Map<string, string>();
  for (const name of names) ids.set(name, (await seed(db, name)).id);
  const nodes = new Nodes(db);
  await nodes.register({ id: 'n4', url: 'http://n4', boot: newId() });
  const members = new Membership(db);
  await db.sql.run("DELETE FROM replicas WHERE repository_id = ? AND node_id = 'n3'", [ids.get('few')!]);
  await members.add({ repository: ids.get('many')!, node: 'n4', reason: 'move', detail: '' });
  await db.sql.run('UPDATE repositories SET intended_factor = 3 WHERE id = ?', [ids.get('changing')!]);
  await db.sql.run("UPDATE replicas SET node_id = 'n4' WHERE repository_id = ? AND node_id = 'n3'", [ids.get('leaving')!]);
  await db.sql.run("UPDATE repositories SET state = 'trashed', intended_factor = 9 WHERE id = ?", [ids.get('trashed')!]);
  const found = async (leaving: string[], zones: number) => {
    const all: string[] = [];
    for (let after: string | undefined = ''; after !== undefined;) {
      const page: { found: string[]; last: string | undefined } = await members.misplaced({ after, scan: 2, leaving, zones });
      all.push(...page.found);
      after = page.last;
    }
    return names.filter((name) => all.includes(ids.get(name)!));
  };
  t.deepEqual(await found([], 1), ['few', 'many', 'changing']);
  t.deepEqual(await found(['n4'], 1), ['few', 'many', 'changing', 'leaving']);
  t.deepEqual(await members.onNodes(['n4'], { after: '', limit: 9 }), [ids.get('many')!, ids.get('leaving')!].sort());
  t.deepEqual(await found([], 2), ['fits', 'few', 'many', 'changing', 'leaving'], 'all are in one zone, and there are two');
  await db.sql.run("UPDATE nodes SET zone = id");
  t.deepEqual(await found([], 4), ['few', 'many', 'changing']);
  t.deepEqual((await members.movable('n1', 'n4', { after: '', limit: 9 })).length, 4);
});
