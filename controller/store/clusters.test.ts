import { claimCluster, verifyCluster } from './clusters.ts';
import { openDatabase } from './database.ts';
import { storeTest } from './stores-under-test.ts';

const [OURS, THEIRS] = ['the-token-of-this-cluster', 'the-token-of-another-cluster'];

storeTest('the first controller makes the database its cluster\'s, and all with its token belong to it', async (t, store) => {
  const db = await store.open();
  const ids = await Promise.all([1, 2, 3].map(() => claimCluster(db.sql, OURS)));
  t.is(new Set(ids).size, 1);
  t.is(await verifyCluster(db.sql, OURS), ids[0]);
});

storeTest('a controller with another token is refused before anything is changed, and told of both', async (t, store) => {
  const db = await store.open();
  const cluster = await claimCluster(db.sql, OURS);
  const before = await db.sql.all('SELECT * FROM clusters');
  const opening = openDatabase(store.url, { admit: (sql) => verifyCluster(sql, THEIRS) });
  const error = await t.throwsAsync(opening, { code: 'wrong_cluster' });
  t.like(error, { fields: { cluster } });
  const { itsToken, ourToken } = (error as unknown as { fields: Record<string, string> }).fields;
  t.not(itsToken, ourToken);
  await t.throwsAsync(claimCluster(db.sql, THEIRS), { code: 'wrong_cluster' });
  t.deepEqual(await db.sql.all('SELECT * FROM clusters'), before);
});

storeTest('a token that was changed on purpose replaces the one before, and the cluster stays the same', async (t, store) => {
  const db = await store.open();
  const cluster = await claimCluster(db.sql, OURS);
  t.is(await claimCluster(db.sql, THEIRS, true), cluster);
  t.is(await claimCluster(db.sql, THEIRS), cluster);
  await t.throwsAsync(claimCluster(db.sql, OURS), { code: 'wrong_cluster' });
});

storeTest('a database that has no tables yet is nobody\'s', async (t, store) => {
  let found: unknown = 'not asked';
  const db = await openDatabase(store.url, { admit: async (sql) => { found = await verifyCluster(sql, OURS); } });
  t.is(found, undefined);
  await db.close();
});
