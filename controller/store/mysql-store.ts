import type mysql from 'mysql2/promise';
import { DeadlineExceeded } from './failure.ts';
import { MysqlServer } from './mysql-server.ts';
import { MysqlSession } from './mysql-session.ts';
import { connectionOptions, type TlsFiles } from './mysql-settings.ts';
import { parseMysqlUrl } from './mysql-url.ts';
import { type Argument, CommitUnanswered, type Row, type Sql, type Statements, Undone, UnfitServer } from './sql.ts';

export interface MysqlOptions {
  poolSize: number;
  deadlineMs: number;
  tls?: TlsFiles;
}

/**
 * The connections to MySQL: the only ones of the process, for Prisma's statements as well as for our own.
 *
 * Of several servers the one that served last is asked first, and the next ones when it can't be reached or takes no
 * writes. That never chooses between two truths: all but one are read-only, or they are one cluster that agrees on every
 * commit. Which of them it is, is the business of whoever runs them.
 */
export class MysqlStore implements Sql {
  readonly dialect = 'mysql';
  readonly #deadlineMs: number;
  readonly #servers: readonly MysqlServer[];
  #preferred = 0;

  constructor(url: string, options: MysqlOptions) {
    const { deadlineMs, poolSize, tls = {} } = options;
    this.#deadlineMs = deadlineMs;
    const parsed = parseMysqlUrl(url);
    // A server that isn't there must leave time for the others.
    const connectMs = Math.ceil(deadlineMs / parsed.servers.length);
    this.#servers = parsed.servers.map((server) => (
      new MysqlServer(connectionOptions(parsed, server, tls, connectMs), { poolSize, deadlineMs })));
  }

  /**
   * A connection of one's own until `end`. Throws DeadlineExceeded when none came free in time, and Undone when no server
   * can be had.
   * @param options another deadline for its statements
   */
  async session(options: { deadlineMs: number } = { deadlineMs: this.#deadlineMs }): Promise<MysqlSession> {
    return this.#onSomeServer(async (server) => (
      new MysqlSession(await server.acquire(), options.deadlineMs, (error) => {
        if (error instanceof UnfitServer) this.#leave(server);
      })));
  }

  /** A connection outside of the pool, without a deadline for its statements. */
  async connect(): Promise<mysql.Connection> {
    return this.#onSomeServer((server) => server.connect());
  }

  async all(sql: string, values: readonly Argument[] = []): Promise<Row[]> {
    return this.#alone(async (session) => {
      try {
        return await session.all(sql, values);
      } catch (error) {
        // A query does nothing.
        throw session.broken && !(error instanceof DeadlineExceeded) ? new Undone(error) : error;
      }
    });
  }

  async run(sql: string, values: readonly Argument[] = []): Promise<number> {
    return this.#alone(async (session) => {
      try {
        return await session.run(sql, values);
      } catch (error) {
        // Refused. After any other loss nobody knows what a statement has done that commits itself.
        throw error instanceof UnfitServer ? new Undone(error) : error;
      }
    });
  }

  async transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    return this.#alone(async (session) => {
      let result: T;
      try {
        await session.command('START TRANSACTION');
        result = await work(session);
      } catch (error) {
        await session.rollback();
        // Without a COMMIT nothing was done, whatever became of the connection. A deadline has cost its time already.
        throw session.broken && !(error instanceof DeadlineExceeded) ? new Undone(error) : error;
      }
      await session.commit();
      return result;
    });
  }

  /** Ends within the deadline, whether or not the servers still answer. */
  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
  }

  async #alone<T>(work: (session: MysqlSession) => Promise<T>): Promise<T> {
    const session = await this.session();
    try {
      return await work(session);
    } finally {
      session.end();
    }
  }

  async #onSomeServer<T>(work: (server: MysqlServer) => Promise<T>): Promise<T> {
    const first = this.#preferred;
    let failure: unknown;
    for (let i = 0; i < this.#servers.length; i++) {
      const index = (first + i) % this.#servers.length;
      try {
        const result = await work(this.#servers[index]!);
        if (i > 0) this.#preferred = index;
        return result;
      } catch (error) {
        // All its connections are in use: that is no reason to go elsewhere.
        if (error instanceof DeadlineExceeded || error instanceof CommitUnanswered) throw error;
        // Of several reasons the first one counts that says something about a server that was reached.
        if (failure === undefined || error instanceof UnfitServer) failure = error;
      }
    }
    throw new Undone(failure);
  }

  /** The server takes no writes any more. What other connections to it would read may be old by now. */
  #leave(server: MysqlServer): void {
    server.retire();
    if (this.#servers[this.#preferred] === server) this.#preferred = (this.#preferred + 1) % this.#servers.length;
  }
}
