import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDatabase } from './database.ts';
import { knownMigrations, migrateMysql, migrateSqlite, type Migration, statementsOf } from './migrate.ts';
import { MysqlStore } from './mysql-store.ts';
import { Repositories } from './repositories.ts';
import { SqliteStore } from './sqlite-store.ts';
import { mariadbTest, sqliteTest, storeTest } from './stores-under-test.ts';
import test from 'ava';

storeTest('five that open an empty database at once migrate it once', async (t, store) => {
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

storeTest('a database that a newer program has migrated is refused', async (t, store) => {
  const db = await store.open();
  await db.sql.run(
    `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
     VALUES ('x', 'x', '99990101000000_newer', ?, ?, 1)`, [new Date(), new Date()],
  );
  const error = await t.throwsAsync(openDatabase(store.url), { code: 'schema_newer' });
  t.like(error, { fields: { migration: '99990101000000_newer' } });
});

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
