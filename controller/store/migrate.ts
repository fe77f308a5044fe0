import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { classify } from './failure.ts';
import type { MysqlStore } from './mysql-store.ts';
import type { Statements } from './sql.ts';
import type { SqliteStore } from './sqlite-store.ts';

const MIGRATIONS = join(import.meta.dirname, '..', '..', 'prisma', 'migrations');

/** Another opener may be applying them. */
const MAX_WAIT_SECONDS = 60;
/** A migration of a large table takes its time, and one cut short is left half applied. */
const STATEMENT_DEADLINE_MS = 600_000;

export interface Migration {
  name: string;
  sql: string;
  /** SHA-256 of the file, as Prisma records it. */
  checksum: string;
}

/**
 * A migration whose name ends so changes what older programs rely on, so they refuse the database once it is there.
 * All others leave older programs working beside newer ones, which is what an upgrade one by one needs.
 */
const BREAKING = /_breaking$/;

/** The migrations this program knows, oldest first, from Prisma's own folder layout. */
export function knownMigrations(dialect: 'mysql' | 'sqlite', root: string = MIGRATIONS): Migration[] {
  const folder = join(root, dialect);
  const names = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  return names.map((entry) => entry.name).sort().map((name) => {
    const bytes = readFileSync(join(folder, name, 'migration.sql'));
    return { name, sql: bytes.toString('utf8'), checksum: createHash('sha256').update(bytes).digest('hex') };
  });
}

/**
 * Brings the database to the schema of this program and records it in `_prisma_migrations` as Prisma does, so that
 * Prisma's own tools see the same history. Any number of openers may do this at once; one of them does the work. The
 * lock makes the others wait. Where it doesn't reach them, as on another server of a cluster, they find the migration
 * under way and end with `migration_incomplete`, having done nothing.
 *
 * MySQL commits every DDL statement by itself, so a crash can leave a migration half applied. Its row, written before
 * its first statement, then has no `finished_at`, and everyone who comes after stops there.
 *
 * Throws `migration_incomplete` in that case, and `schema_newer` when the table names a breaking migration that isn't
 * among `migrations`: then a newer program has been here, and this one doesn't know what its own statements would do.
 */
export async function migrateMysql(store: MysqlStore, migrations = knownMigrations('mysql')): Promise<void> {
  if (await isUpToDate(store, migrations)) return;
  const session = await store.session({ deadlineMs: STATEMENT_DEADLINE_MS });
  try {
    // One name for each database: a lock belongs to the whole server, and its name has 64 characters at most.
    const lock = "CONCAT('trivet-migrate-', LEFT(SHA2(DATABASE(), 256), 32))";
    const [row] = await session.all(`SELECT GET_LOCK(${lock}, ${MAX_WAIT_SECONDS}) AS locked`);
    if (Number(row?.['locked']) !== 1) throw new Error('another program has been migrating for a minute');
    try {
      await session.command(HISTORY_MYSQL);
      for (const migration of pending(await history(session), migrations)) {
        const id = await start(session, migration);
        for (const statement of statementsOf(migration.sql)) await session.command(statement);
        await session.run(FINISHED, [new Date(), 1, id]);
      }
    } finally {
      await session.run(`DO RELEASE_LOCK(${lock})`).catch(() => {});
    }
  } finally {
    session.end();
  }
}

/** The same for SQLite, where a migration and its record are one SQL transaction and can't come apart. */
export async function migrateSqlite(store: SqliteStore, migrations = knownMigrations('sqlite')): Promise<void> {
  if (await isUpToDate(store, migrations)) return;
  await store.transaction(async (statements) => {
    await statements.run(HISTORY_SQLITE);
    for (const migration of pending(await history(statements), migrations)) {
      const id = await start(statements, migration);
      for (const statement of statementsOf(migration.sql)) await statements.run(statement);
      await statements.run(FINISHED, [new Date(), 1, id]);
    }
  });
}

/** The statements of a migration, of which each ends with a `;` at the end of a line. */
export function statementsOf(sql: string): string[] {
  return sql.split(/;[ \t]*$/m).filter((part) => part.split('\n').some((line) => /^\s*[^\s-]/.test(line)));
}

/**
 * Writes down that a migration begins, and gives its row's id. That is made of the name, and of how often it was rolled
 * back: of two that begin at once, one finds it taken.
 */
async function start(statements: Statements, migration: Migration): Promise<string> {
  const tried = await statements.all('SELECT rolled_back_at FROM _prisma_migrations WHERE migration_name = ?', [migration.name]);
  // When the history was read it was still to be done: somebody else has begun it since, and may even be through.
  if (tried.some((row) => row['rolled_back_at'] === null)) throw new TrivetError('migration_incomplete', { migration: migration.name });
  const digits = createHash('sha256').update(`${tried.length} ${migration.name}`).digest('hex');
  const id = digits.slice(0, 32).replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  try {
    await statements.run(STARTED, [id, migration.checksum, migration.name, new Date(), 0]);
  } catch (error) {
    if (classify(error) !== 'duplicate') throw error;
    throw new TrivetError('migration_incomplete', { migration: migration.name }, { cause: error });
  }
  return id;
}

const STARTED = `INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at, applied_steps_count)
  VALUES (?, ?, ?, ?, ?)`;
const FINISHED = 'UPDATE _prisma_migrations SET finished_at = ?, applied_steps_count = ? WHERE id = ?';

// The two tables as Prisma makes them.
const HISTORY_MYSQL = `CREATE TABLE IF NOT EXISTS _prisma_migrations (
  id VARCHAR(36) PRIMARY KEY NOT NULL,
  checksum VARCHAR(64) NOT NULL,
  finished_at DATETIME(3),
  migration_name VARCHAR(255) NOT NULL,
  logs TEXT,
  rolled_back_at DATETIME(3),
  started_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
  applied_steps_count INTEGER UNSIGNED NOT NULL DEFAULT 0
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci`;
const HISTORY_SQLITE = `CREATE TABLE IF NOT EXISTS "_prisma_migrations" (
  "id" TEXT PRIMARY KEY NOT NULL,
  "checksum" TEXT NOT NULL,
  "finished_at" DATETIME,
  "migration_name" TEXT NOT NULL,
  "logs" TEXT,
  "rolled_back_at" DATETIME,
  "started_at" DATETIME NOT NULL DEFAULT current_timestamp,
  "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0
)`;

interface Applied {
  name: string;
  finished: boolean;
}

/** True without a lock when nothing is left to do, which is every start but the first. */
async function isUpToDate(statements: Statements, migrations: readonly Migration[]): Promise<boolean> {
  const table = statements.dialect === 'mysql'
    ? "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?"
    : "SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?";
  if ((await statements.all(table, ['_prisma_migrations'])).length === 0) return false;
  const applied = await history(statements);
  // Unfinished may also mean that another opener is at it. Who holds the lock can tell.
  return applied.every((row) => row.finished) && pending(applied, migrations).length === 0;
}

/** What was applied and not rolled back. */
async function history(statements: Statements): Promise<Applied[]> {
  const rows = await statements.all(
    'SELECT migration_name, finished_at FROM _prisma_migrations WHERE rolled_back_at IS NULL',
  );
  return rows.map((row) => ({ name: String(row['migration_name']), finished: row['finished_at'] !== null }));
}

function pending(applied: readonly Applied[], migrations: readonly Migration[]): Migration[] {
  const incomplete = applied.find((row) => !row.finished);
  if (incomplete !== undefined) throw new TrivetError('migration_incomplete', { migration: incomplete.name });
  const known = new Set(migrations.map((migration) => migration.name));
  const unknown = applied.find((row) => !known.has(row.name) && BREAKING.test(row.name));
  if (unknown !== undefined) throw new TrivetError('schema_newer', { migration: unknown.name });
  const done = new Set(applied.map((row) => row.name));
  return migrations.filter((migration) => !done.has(migration.name));
}
