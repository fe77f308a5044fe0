import { newId } from '@trivet/proto/id.ts';
import { mariadbTest, storeTest } from './stores-under-test.ts';
import { TurnLock } from './turn-lock.ts';

mariadbTest('one controller at a time has the turn of a repository', async (t, store) => {
  const first = new TurnLock(await store.open());
  const second = new TurnLock(await store.open());
  const [repository, other] = [newId(), newId()];
  const turn = await first.acquire(repository, 1_000);
  t.truthy(turn);
  t.is(await second.acquire(repository, 0), undefined);
  const elsewhere = await second.acquire(other, 0);
  t.truthy(elsewhere, 'another repository has a turn of its own');
  const waiting = second.acquire(repository, 30_000);
  await turn!.release();
  const next = await waiting;
  t.truthy(next);
  await next!.release();
  await elsewhere!.release();
  first.close();
  second.close();
});

mariadbTest('the turn of a controller whose connection died is free', async (t, store) => {
  const db = await store.open();
  const dead = new TurnLock(db);
  const alive = new TurnLock(db);
  const repository = newId();
  const turn = await dead.acquire(repository, 1_000);
  const [row] = await db.sql.all('SELECT IS_USED_LOCK(?) AS connection', [`trivet-turn-${repository}`]);
  await db.sql.run(`KILL ${Number(row!['connection'])}`);
  const next = await alive.acquire(repository, 30_000);
  t.truthy(next);
  await t.notThrowsAsync(turn!.release());
  await next!.release();
  dead.close();
  alive.close();
});

mariadbTest('connections are bounded, and who finds none waits for one', async (t, store) => {
  const lock = new TurnLock(await store.open(), { maxConnections: 1, maxIdle: 1 });
  const turn = await lock.acquire(newId(), 1_000);
  t.is(await lock.acquire(newId(), 0), undefined);
  const waiting = lock.acquire(newId(), 30_000);
  await turn!.release();
  const next = await waiting;
  t.truthy(next);
  await next!.release();
  lock.close();
});

storeTest('a turn can be taken again after its release', async (t, store) => {
  const lock = new TurnLock(await store.open());
  const repository = newId();
  for (let i = 0; i < 5; i++) {
    const turn = await lock.acquire(repository, 1_000);
    t.truthy(turn);
    await turn!.release();
  }
  lock.close();
});
