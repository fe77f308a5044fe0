import { newId } from '@trivet/proto/id.ts';
import anyTest from 'ava';
import mysql from 'mysql2/promise';
import { freePort, type MariaDb, mariadbHere, startMariaDb } from '../../test/mariadb.ts';
import { type Database, openDatabase } from './database.ts';
import { Decisions } from './decisions.ts';
import { Nodes } from './nodes.ts';
import { Repositories } from './repositories.ts';
import { digestOf, seed, step } from './stores-under-test.ts';
import { untilBlocked } from './until-blocked.ts';

// Two servers that hold the same data are played by one that is started again on another port.

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;

let server: MariaDb;
let root: mysql.Connection;
let ports: [number, number];
let onSecond = false;

anyTest.before(async () => {
  if (!mariadbHere()) return;
  ports = [await freePort(), await freePort()];
  server = await startMariaDb(ports[0]);
  await asRoot();
  // Whoever has all privileges writes even where others mayn't.
  await root.query("CREATE USER trivet@'127.0.0.1' IDENTIFIED BY 'x'");
  await root.query("GRANT ALL ON `trivet\\_%`.* TO trivet@'127.0.0.1'");
});
anyTest.after.always(async () => {
  root?.destroy();
  await server?.stop();
});

async function asRoot(): Promise<void> {
  root = await mysql.createConnection(server.url.replace(/:\d+\//, `:${portNow()}/`));
  root.on('error', () => {});
}

function portNow(): number {
  return onSecond ? ports[1] : ports[0];
}

/** The server dies, and is there again on the other port. */
async function failOver(): Promise<void> {
  root.destroy();
  await server.kill();
  onSecond = !onSecond;
  await server.startAgain(portNow());
  await asRoot();
}

async function openNew(t: { teardown(done: () => Promise<void>): void }, name: string, options: { deadlineMs?: number } = {}): Promise<Database> {
  await root.query(`CREATE DATABASE ${name}`);
  const db = await openDatabase(`mysql://trivet:x@127.0.0.1:${ports[0]},127.0.0.1:${ports[1]}/${name}`, options);
  t.teardown(() => db.close());
  return db;
}

test('when a server has gone, the next one in the URL takes over, with everything that was acknowledged', async (t) => {
  const db = await openNew(t, 'trivet_fail_over');
  const repository = await seed(db);
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
  await failOver();
  t.is((await new Repositories(db).route(repository.name))!.repository.generation, 1);
  t.is(await new Decisions(db, 'c1').commit(step(repository, 1)), 'committed');
  await failOver();
  t.is(await new Decisions(db, 'c1').commit(step(repository, 2)), 'committed', 'and back again');
});

test('with no server left it is store_unavailable, until one is back', async (t) => {
  const db = await openNew(t, 'trivet_none_left');
  const repository = await seed(db);
  await server.kill();
  await t.throwsAsync(new Decisions(db, 'c1').commit(step(repository, 0)), { code: 'store_unavailable' });
  await t.throwsAsync(db.checkWrites(), { code: 'store_unavailable' });
  root.destroy();
  await server.startAgain();
  await asRoot();
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
});

test('a server that was made read-only is neither written to nor believed, on connections old and new', async (t) => {
  const db = await openNew(t, 'trivet_read_only');
  const repository = await seed(db);
  // Several connections, so that one that is found out must tell for all.
  await Promise.all([1, 2, 3, 4].map(() => db.sql.all('SELECT SLEEP(0.05)')));
  await db.checkWrites();
  await root.query('SET GLOBAL read_only = 1');
  try {
    const readOnly = { code: 'store_unavailable' } as const;
    const refusals = [
      new Repositories(db).route(repository.name), new Repositories(db).route('not-there'),
      new Decisions(db, 'c1').commit(step(repository, 0)), new Nodes(db).register({ id: 'n4', url: 'http://n4', boot: newId() }), db.checkWrites(),
    ];
    for (const refusal of refusals) t.like(await t.throwsAsync(refusal, readOnly), { fields: { reason: 'read_only' } });
    await t.throwsAsync(openDatabase(`mysql://trivet:x@127.0.0.1:${portNow()}/trivet_read_only`), readOnly);
  } finally {
    await root.query('SET GLOBAL read_only = 0');
  }
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
});

test('control: what is read without asking whether the server takes writes is answered by a read-only one', async (t) => {
  const db = await openNew(t, 'trivet_control');
  const repository = await seed(db);
  await root.query('SET GLOBAL read_only = 1');
  try {
    t.is((await db.sql.all('SELECT name FROM repositories'))[0]!['name'], repository.name);
  } finally {
    await root.query('SET GLOBAL read_only = 0');
  }
});

test('a COMMIT that a server refuses because it has become read-only was not committed, and is known not to be', async (t) => {
  const db = await openNew(t, 'trivet_commit_refused');
  const repository = await seed(db);
  try {
    const error = await t.throwsAsync(db.sql.transaction(async (statements) => {
      await statements.run('UPDATE repositories SET generation = 9 WHERE id = ?', [repository.id]);
      await root.query('SET GLOBAL read_only = 1');
    }));
    t.is(error.name, 'Undone');
  } finally {
    await root.query('SET GLOBAL read_only = 0');
  }
  t.is((await new Repositories(db).routeById(repository.id))!.repository.generation, 0);
});

test('the victim of a real deadlock is done again, whole, and both are done in the end', async (t) => {
  const db = await openNew(t, 'trivet_deadlock');
  const first = await seed(db);
  const other = await mysql.createConnection(`mysql://trivet:x@127.0.0.1:${portNow()}/trivet_deadlock`);
  t.teardown(() => other.end());
  const lock = (id: string) => other.query('UPDATE repositories SET deny_deletes = 1 WHERE id = ?', [id]);
  await other.beginTransaction();
  // It has done more than the decision will have, so that the decision is the victim.
  await other.query("INSERT INTO events (repository_id, kind, payload, created_at) SELECT ?, 'x', '{}', NOW() FROM seq_1_to_200", [first.id]);
  await other.query('SELECT node_id FROM replicas WHERE repository_id = ? FOR UPDATE', [first.id]);
  const deciding = new Decisions(db, 'c1').commit(step(first, 0));
  await untilBlocked(db, deciding);
  // The decision has the repository's row and waits for its replicas; this one has them and wants the row.
  await lock(first.id);
  const deadlocks = async () => Number((await root.query<mysql.RowDataPacket[]>("SHOW GLOBAL STATUS LIKE 'Innodb_deadlocks'"))[0][0]!['Value']);
  t.true(await deadlocks() > 0, 'there was a deadlock');
  await other.commit();
  t.is(await deciding, 'committed');
  t.deepEqual((await new Repositories(db).routeById(first.id))!.replicas.map(({ digest }) => digest), [1, 1, 1].map(digestOf));
  t.is((await new Decisions(db, 'c1').page({ limit: 10 })).length, 1, 'and once');
});

test('a lock that is held for longer than the server lets wait is store_unavailable, and nothing was done', async (t) => {
  const db = await openNew(t, 'trivet_lock_wait', { deadlineMs: 2_000 });
  const repository = await seed(db);
  const other = await mysql.createConnection(`mysql://trivet:x@127.0.0.1:${portNow()}/trivet_lock_wait`);
  t.teardown(() => other.end());
  await other.beginTransaction();
  await other.query('SELECT id FROM repositories FOR UPDATE');
  await t.throwsAsync(new Decisions(db, 'c1').commit(step(repository, 0)), { code: 'store_unavailable' });
  await other.rollback();
  t.is(await new Decisions(db, 'c1').commit(step(repository, 0)), 'committed');
});
