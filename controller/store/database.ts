import { TrivetError } from '@trivet/proto/errors.ts';
import type mysql from 'mysql2/promise';
import type { PrismaClient } from '../../prisma/generated/mysql/client.ts';
import { attempt } from './failure.ts';
import { migrateMysql, migrateSqlite } from './migrate.ts';
import { mysqlAdapter } from './mysql-adapter.ts';
import type { TlsFiles } from './mysql-settings.ts';
import { type MysqlOptions, MysqlStore } from './mysql-store.ts';
import { READ_ONLY, serverRow, type Sql, toDate } from './sql.ts';
import { SqliteStore } from './sqlite-store.ts';

/** An open connection bundle: what every class of this folder is made from. */
export interface Database {
  readonly dialect: 'mysql' | 'sqlite';
  readonly deadlineMs: number;
  readonly prisma: PrismaClient;
  /** Opens a connection to MySQL outside of the pool under `prisma` and `sql`. */
  readonly connect?: () => Promise<mysql.Connection>;
  readonly sql: Sql;
  /** The clock that leases are measured by: the server's own, so that controllers' clocks may differ. */
  now(): Promise<Date>;
  /** Throws `store_unavailable` when the database doesn't answer. */
  ping(): Promise<void>;
  /** Throws `store_unavailable` when the database takes no write: with the reason `read_only`, or without one. */
  checkWrites(): Promise<void>;
  close(): Promise<void>;
}

export interface DatabaseOptions {
  /** Connections to MySQL at most; statements beyond wait for one, for the deadline. SQLite has one. */
  poolSize?: number;
  /** For each statement, and for each wait for a connection. */
  deadlineMs?: number;
  /** For connections to MySQL. */
  tls?: TlsFiles;
  /** Called before anything is changed; what it throws is thrown. */
  admit?: (sql: Sql) => Promise<unknown>;
}

/**
 * Opens the store and migrates it. Only the client of the dialect in use is loaded: each is some 20 MB of memory.
 * @param url `file:/absolute/path.db` or `mysql://user:password@host:port,host:port/database`
 * Throws `store_unavailable`, `migration_incomplete` or `schema_newer`.
 */
export async function openDatabase(url: string, options: DatabaseOptions = {}): Promise<Database> {
  const { poolSize = 10, deadlineMs = 5_000, admit = async () => {} } = options;
  return attempt(() => {
    if (url.startsWith('mysql://')) return openMysql(url, { poolSize, deadlineMs, ...(options.tls === undefined ? {} : { tls: options.tls }) }, admit);
    if (url.startsWith('file:')) return openSqlite(url, deadlineMs, admit);
    throw new TrivetError('bad_request', { reason: 'a database URL begins with file: or mysql:' });
  });
}

type Admit = NonNullable<DatabaseOptions['admit']>;

async function openMysql(url: string, options: MysqlOptions, admit: Admit): Promise<Database> {
  const { deadlineMs } = options;
  const store = new MysqlStore(url, options);
  try {
    await admit(store);
    await migrateMysql(store);
  } catch (error) {
    await store.close();
    throw error;
  }
  const generated = await import('../../prisma/generated/mysql/client.ts');
  const prisma = new generated.PrismaClient({ adapter: mysqlAdapter(store), transactionOptions: transactionOptions(deadlineMs) });
  return {
    dialect: 'mysql',
    deadlineMs,
    prisma,
    connect: () => store.connect(),
    sql: store,
    now: async () => toDate((await store.all('SELECT UTC_TIMESTAMP(3) AS now'))[0]?.['now']),
    ping: () => ping(store),
    checkWrites: () => checkWrites(store),
    close: async () => {
      await prisma.$disconnect();
      await store.close();
    },
  };
}

async function openSqlite(url: string, deadlineMs: number, admit: Admit): Promise<Database> {
  const store = await SqliteStore.open(url, deadlineMs);
  try {
    await admit(store);
    await migrateSqlite(store);
  } catch (error) {
    store.close();
    throw error;
  }
  const generated = await import('../../prisma/generated/sqlite/client.ts');
  const sqlitePrisma = new generated.PrismaClient({
    adapter: store.prismaAdapter(),
    transactionOptions: transactionOptions(deadlineMs),
  });
  // The two clients come from one set of models and differ in nothing this folder uses.
  const prisma = sqlitePrisma as unknown as PrismaClient;
  return {
    dialect: 'sqlite',
    deadlineMs,
    prisma,
    sql: store,
    now: async () => new Date(),
    ping: () => ping(store),
    checkWrites: () => checkWrites(store),
    close: async () => {
      await prisma.$disconnect();
      store.close();
    },
  };
}

/** Prisma's own clock for a whole SQL transaction, looser than that of its statements, which should strike first. */
function transactionOptions(deadlineMs: number): { maxWait: number; timeout: number } {
  return { maxWait: 2 * deadlineMs, timeout: 4 * deadlineMs };
}

async function ping(sql: Sql): Promise<void> {
  await attempt(() => sql.all('SELECT 1 AS one'));
}

/** A row of its own, which nobody else waits for. */
async function checkWrites(sql: Sql): Promise<void> {
  const [row] = await attempt(() => sql.all(`SELECT ${READ_ONLY} FROM ${serverRow(sql.dialect)} AS server`));
  if (row === undefined) throw new TrivetError('store_unavailable');
  await attempt(() => sql.run('DELETE FROM duties WHERE name = ?', ['']));
}
