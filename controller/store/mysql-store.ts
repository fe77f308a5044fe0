import mysql from 'mysql2/promise';
import { DeadlineExceeded, withDeadline } from './failure.ts';
import { MysqlSession } from './mysql-session.ts';
import type { Argument, Row, Sql, Statements } from './sql.ts';

/** Kept on the server for each connection; there may be 16,382 in all. The hot paths use about a dozen. */
const PREPARED_STATEMENTS = 200;

/**
 * The server ends a session of ours that says nothing for so long, and rolls back what it had open: a controller that
 * was stopped in the middle of a decision would otherwise hold the repository's row, and keep every other controller
 * from deciding or settling anything there, until it is continued or killed. Many times what lies between two
 * statements of a healthy one. Idle connections are closed on this side before that.
 */
const SILENT_SESSION_SECONDS = 15;
const IDLE_MS = 5_000;

export interface MysqlOptions {
  poolSize: number;
  deadlineMs: number;
}

/** The options every connection to MySQL is opened with, those of the turn lock included. */
export function connectionOptions(url: string, deadlineMs: number): mysql.ConnectionOptions {
  return {
    uri: url,
    connectTimeout: deadlineMs,
    charset: 'UTF8MB4_BIN',
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    maxPreparedStatements: PREPARED_STATEMENTS,
  };
}

/** A pool of MySQL connections: the only one of the process, for Prisma's statements as well as for our own. */
export class MysqlStore implements Sql {
  readonly dialect = 'mysql';
  readonly pool: mysql.Pool;
  readonly #deadlineMs: number;
  readonly #open = new Set<mysql.PoolConnection>();

  constructor(url: string, options: MysqlOptions) {
    this.#deadlineMs = options.deadlineMs;
    this.pool = mysql.createPool({
      ...connectionOptions(url, options.deadlineMs),
      connectionLimit: options.poolSize,
      // One fewer than the limit, else mysql2 never closes an idle one.
      maxIdle: Math.max(1, options.poolSize - 1),
      idleTimeout: IDLE_MS,
    });
    // Sent before anything the connection was asked for: mysql2 keeps the order.
    const settings = sessionSettings(options.deadlineMs);
    this.pool.on('connection', (connection) => {
      this.#open.add(connection);
      connection.on('end', () => this.#open.delete(connection));
      connection.on('error', () => this.#open.delete(connection));
      // Underneath the promises there are callbacks, and this event gives the thing underneath.
      const plain = connection as unknown as { query(sql: string, done: (error: unknown) => void): void };
      for (const setting of settings) {
        plain.query(setting, (error) => {
          if (error !== null) connection.destroy();
        });
      }
    });
  }

  /**
   * A connection of one's own until `end`. Throws DeadlineExceeded when none came free in time.
   * @param options another deadline for its statements
   */
  async session(options: { deadlineMs: number } = { deadlineMs: this.#deadlineMs }): Promise<MysqlSession> {
    const pending = this.pool.getConnection();
    try {
      const connection = await withDeadline(pending, 'the wait for a connection', this.#deadlineMs);
      return new MysqlSession(connection, options.deadlineMs);
    } catch (error) {
      // It may come late, and would then be lost to the pool.
      if (error instanceof DeadlineExceeded) pending.then((connection) => connection.release(), () => {});
      throw error;
    }
  }

  async all(sql: string, values: readonly Argument[] = []): Promise<Row[]> {
    return this.#alone((session) => session.all(sql, values));
  }

  async run(sql: string, values: readonly Argument[] = []): Promise<number> {
    return this.#alone((session) => session.run(sql, values));
  }

  async transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    return this.#alone(async (session) => {
      await session.command('START TRANSACTION');
      let result: T;
      try {
        result = await work(session);
      } catch (error) {
        await session.rollback();
        throw error;
      }
      await session.commit();
      return result;
    });
  }

  /** Ends within the deadline, whether or not the server still answers. */
  async close(): Promise<void> {
    await withDeadline(this.pool.end(), 'closing the pool', this.#deadlineMs).catch(() => {});
    for (const connection of this.#open) connection.destroy();
    this.#open.clear();
  }

  async #alone<T>(work: (session: MysqlSession) => Promise<T>): Promise<T> {
    const session = await this.session();
    try {
      return await work(session);
    } finally {
      session.end();
    }
  }
}

/**
 * READ COMMITTED: no statement of ours relies on seeing the same rows twice, every decision is a compare-and-set or
 * stands behind a row lock; and REPEATABLE READ's gap locks make inserts of neighbouring keys wait for each other.
 * Strict mode: a value that doesn't fit is an error, never cut off.
 * A lock is waited for in vain within half the deadline, so that the server says so before the client gives up.
 */
function sessionSettings(deadlineMs: number): string[] {
  const lockWaitSeconds = Math.max(1, Math.floor(deadlineMs / 2_000));
  return [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', `
      + `innodb_lock_wait_timeout = ${lockWaitSeconds}, wait_timeout = ${SILENT_SESSION_SECONDS}`,
  ];
}
