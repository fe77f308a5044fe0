import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from './database.ts';
import { Decisions } from './decisions.ts';
import { knownMigrations, migrateMysql, migrateSqlite, type Migration, statementsOf } from './migrate.ts';
import { MysqlStore } from './mysql-store.ts';
import { Repositories } from './repositories.ts';
import { SqliteStore } from './sqlite-store.ts';
import { mariadbTest, seed, sqliteTest, step, storeTest, type StoreUnderTest } from './stores-under-test.ts';
import test from 'ava';

storeTest('five connection bundles that open an empty database at once migrate it once', async (t, store) => {
  const opened = await Promise.all([1, 2, 3, 4, 5].map(() => store.open({ poolSize: 2 })));
  for (const db of opened) t.deepEqual(await new Repositories(db).list({ limit: 1 }), []);
  const rows = await opened[0]!.sql.all('SELECT * FROM _prisma_migrations ORDER BY migration_name');
  const known = knownMigrations(store.dialect);
  t.deepEqual(rows.map((row) => row['migration_name']), known.map((migration) => migration.name));
  const folder = join(import.meta.dirname, '..', '..', 'prisma', 'migrations', store.dialect);
  const file = join(folder, known[0]!.name, 'migration.sql');
  t.is(rows[0]!['checksum'], createHash('sha256').update(readFileSync(file)).digest('hex'));
  t.true(rows.every((row) => row['finished_at'] !== null && row['rolled_back_at'] === null));
  t.true(rows.every((row) => Number(row['applied_steps_count']) === 1));
});

storeTest('a half applied migration stops every later start, until it is marked as rolled back', async (t, store) => {
  const db = await store.open();
  await db.sql.run(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)
     VALUES ('x', 'x', '99990101000000_half', ?, 0)`, [new Date()],
  );
  const error = await t.throwsAsync(openDatabase(store.url), { code: 'migration_incomplete' });
  t.like(error, { fields: { migration: '99990101000000_half' } });
  await db.sql.run('UPDATE _prisma_migrations SET rolled_back_at = ? WHERE id = ?', [new Date(), 'x']);
  await t.notThrowsAsync(store.open());
});

const NEWER: Migration = { name: '99990101000000_newer', sql: 'CREATE TABLE newer (id INTEGER);\n', checksum: 'x' };
const BREAKING: Migration = { name: '99990102000000_newest_breaking', sql: 'DROP TABLE newer;\n', checksum: 'x' };

/** What a newer program does to a database. */
async function migrate(store: StoreUnderTest, more: readonly Migration[]): Promise<void> {
  if (store.dialect === 'sqlite') {
    const sqlite = await SqliteStore.open(store.url, 5_000);
    await migrateSqlite(sqlite, [...knownMigrations('sqlite'), ...more]);
    sqlite.close();
  } else {
    const mysql = new MysqlStore(store.url, { poolSize: 2, deadlineMs: 5_000 });
    await migrateMysql(mysql, [...knownMigrations('mysql'), ...more]);
    await mysql.close();
  }
}

storeTest('an older program goes on beside a newer one, and starts again, when the newer schema breaks nothing', async (t, store) => {
  const older = await store.open();
  const repository = await seed(older);
  await migrate(store, [NEWER]);
  t.is(await new Decisions(older, 'older').commit(step(repository, 0)), 'committed');
  const again = await store.open();
  t.is(await new Decisions(again, 'older').commit(step(repository, 1)), 'committed');
});

storeTest('a database that a newer program has migrated in a way that breaks older ones is refused', async (t, store) => {
  await store.open();
  await migrate(store, [NEWER, BREAKING]);
  const error = await t.throwsAsync(openDatabase(store.url), { code: 'schema_newer' });
  t.like(error, { fields: { migration: BREAKING.name } });
});

storeTest('ten processes that open an empty database at once all get it, migrated once', async (t, store) => {
  const program = join(import.meta.dirname, 'opened-once.ts');
  const exits = await Promise.all(Array.from({ length: 10 }, async () => {
    const child = spawn(process.execPath, [program, store.url], { stdio: ['ignore', 'ignore', 'inherit'] });
    return (await once(child, 'exit'))[0] as number;
  }));
  t.deepEqual(exits, Array(10).fill(0));
  const rows = await (await store.open()).sql.all('SELECT migration_name, finished_at FROM _prisma_migrations');
  t.is(rows.length, knownMigrations(store.dialect).length);
  t.true(rows.every((row) => row['finished_at'] !== null));
});

mariadbTest('openers whose locks keep nobody out do no harm: one migrates, and whoever meets it there ends', async (t, store) => {
  const openers = Array.from({ length: 6 }, () => new MysqlStore(store.url, { poolSize: 2, deadlineMs: 5_000 }));
  t.teardown(async () => { for (const opener of openers) await opener.close(); });
  // As on several servers of a cluster, of which each has locks of its own.
  const results = await Promise.allSettled(openers.map((opener) => migrateMysql(heldByAll(opener))));
  const refused = results.filter((result) => result.status === 'rejected');
  t.true(refused.length < openers.length);
  for (const { reason } of refused) t.like(reason, { code: 'migration_incomplete' });
  const db = await store.open();
  t.is((await db.sql.all('SELECT id FROM _prisma_migrations')).length, knownMigrations('mysql').length);
  t.is(await new Decisions(db, 'c1').commit(step(await seed(db), 0)), 'committed');
});

/** The same store, in which locks of MySQL keep nobody out. */
function heldByAll(store: MysqlStore): MysqlStore {
  return new Proxy(store, {
    get: (target, key) => (key !== 'session' ? Reflect.get(target, key, target).bind?.(target) ?? Reflect.get(target, key, target) : async (options: { deadlineMs: number }) => {
      const session = await target.session(options);
      const all = session.all.bind(session);
      session.all = async (sql, values) => (sql.includes('GET_LOCK') ? [{ locked: 1 }] : all(sql, values));
      return session;
    }),
  });
}

const BROKEN: Migration = {
  name: '20000101000000_broken',
  sql: 'CREATE TABLE one (id INTEGER);\n\nCREATE TABLE one (id INTEGER);\n',
  checksum: 'x',
};

mariadbTest('a migration that fails half way is found half applied', async (t, store) => {
  const mysql = new MysqlStore(store.url, { poolSize: 2, deadlineMs: 5_000 });
  await t.throwsAsync(migrateMysql(mysql, [BROKEN]), { message: /already exists/ });
  await t.throwsAsync(migrateMysql(mysql, [BROKEN]), { code: 'migration_incomplete' });
  await mysql.close();
});

sqliteTest('a migration that fails half way leaves nothing, and can be tried again', async (t, store) => {
  const sqlite = await SqliteStore.open(store.url, 5_000);
  await t.throwsAsync(migrateSqlite(sqlite, [BROKEN]), { message: /already exists/ });
  t.deepEqual(await sqlite.all("SELECT name FROM sqlite_master WHERE name IN ('one', '_prisma_migrations')"), []);
  await migrateSqlite(sqlite, [{ ...BROKEN, sql: 'CREATE TABLE one (id INTEGER);\n' }]);
  t.is((await sqlite.all('SELECT * FROM one')).length, 0);
  sqlite.close();
});

test('both databases have the same migrations, and comments alone are no statement', (t) => {
  const names = (dialect: 'mysql' | 'sqlite') => knownMigrations(dialect).map((migration) => migration.name);
  t.deepEqual(names('mysql'), names('sqlite'));
  t.deepEqual(statementsOf('-- one\nSELECT 1;\n\n-- two\n').map((statement) => statement.trim()), ['-- one\nSELECT 1']);
});
