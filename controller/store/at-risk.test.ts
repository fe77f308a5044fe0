import test from 'ava';
import { RepositoriesAtRisk, riskOf } from './at-risk.ts';
import { Replicas } from './replicas.ts';
import { seed, storeTest } from './stores-under-test.ts';
import { Trash } from './trash.ts';

storeTest('a repository is at risk by what is not current and by what can not be reached, the worst first', async (t, store) => {
  const db = await store.open();
  await seed(db, 'whole');
  const [one, two, three] = [await seed(db, 'lost/one'), await seed(db, 'lost/two'), await seed(db, 'lost/three')];
  const replicas = new Replicas(db);
  await replicas.mark(one.id, ['n1'], 'outdated', 'a test');
  await replicas.mark(two.id, ['n1', 'n2'], 'corrupt', 'a test');
  await replicas.mark(three.id, ['n1', 'n2', 'n3'], 'missing', 'a test');
  const atRisk = new RepositoriesAtRisk(db);
  const risks = async (down: string[]) => (await atRisk.list(down)).map(({ name, risk, current }) => [name, risk, current]);
  t.deepEqual(await risks([]), [['lost/one', 'under_replicated', 2], ['lost/three', 'unavailable', 0], ['lost/two', 'no_quorum', 1]]);
  t.deepEqual(await risks(['n3']), [
    ['lost/one', 'no_quorum', 1], ['lost/three', 'unavailable', 0], ['lost/two', 'unavailable', 0], ['whole', 'under_replicated', 2],
  ]);
  t.deepEqual((await risks(['n9'])).length, 3, 'a node without replicas puts nothing at risk');
  await new Trash(db).put(two);
  const found = (await atRisk.list([])).find(({ id }) => id === two.id);
  t.like(found, { name: `.trash/${two.id}`, trashedName: 'lost/two', risk: 'no_quorum' }, 'what may be restored is looked after');
});

const table: [configured: number, current: number, risk: string][] = [
  [1, 0, 'unavailable'], [2, 1, 'no_quorum'], [3, 2, 'under_replicated'], [3, 1, 'no_quorum'], [3, 0, 'unavailable'],
  [4, 2, 'no_quorum'], [4, 3, 'under_replicated'], [5, 3, 'under_replicated'], [5, 2, 'no_quorum'],
];
for (const [configured, current, risk] of table) {
  test(`${current} of ${configured} replicas: ${risk}`, (t) => {
    t.is(riskOf(configured, current), risk as ReturnType<typeof riskOf>);
  });
}
