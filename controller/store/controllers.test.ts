import { newId } from '@trivet/proto/id.ts';
import { ALIVE_MS, Controllers } from './controllers.ts';
import type { Database } from './database.ts';
import { storeTest } from './stores-under-test.ts';

const identity = (id: string) => ({ id, boot: newId(), version: '1', process: 'host:1', settings: { TRIVET_VOTE_MS: 1 } });
const notGone = () => false;

/** As if nothing had been heard for so long. */
async function silence(db: Database, id: string, ms: number): Promise<void> {
  await db.sql.run('UPDATE controllers SET seen_at = ? WHERE id = ?', [new Date((await db.now()).getTime() - ms), id]);
}

storeTest('a name belongs to one process as long as it is heard of', async (t, store) => {
  const db = await store.open();
  const controllers = new Controllers(db);
  const [first, second] = [identity('c1'), identity('c1')];
  await controllers.register(first, notGone);
  await t.throwsAsync(controllers.register(second, notGone), { code: 'controller_name_in_use' });
  await controllers.register(identity('c2'), notGone);
  await silence(db, 'c1', ALIVE_MS);
  await controllers.register(second, notGone);
  t.false(await controllers.renew(first), 'the first one learns that it was taken for gone');
  t.true(await controllers.renew(second));
  await controllers.leave(first);
  t.deepEqual((await controllers.list()).map(({ id, boot }) => [id, boot === second.boot]), [['c1', true], ['c2', false]]);
});

storeTest('a process that is surely gone, or has left, keeps nobody from its name', async (t, store) => {
  const controllers = new Controllers(await store.open());
  const first = identity('c1');
  await controllers.register(first, notGone);
  const second = identity('c1');
  await controllers.register(second, (process) => process === first.process);
  await controllers.leave(second);
  await t.notThrowsAsync(controllers.register(identity('c1'), notGone));
});

storeTest('those that are silent for a day are forgotten', async (t, store) => {
  const db = await store.open();
  const controllers = new Controllers(db);
  for (const id of ['c1', 'c2', 'c3']) await controllers.register(identity(id), notGone);
  await silence(db, 'c2', ALIVE_MS);
  await silence(db, 'c3', 2 * 86_400_000);
  t.deepEqual((await controllers.list()).map(({ id, alive }) => [id, alive]), [['c1', true], ['c2', false]]);
  await controllers.prune();
  t.is((await db.sql.all('SELECT id FROM controllers')).length, 2);
});
