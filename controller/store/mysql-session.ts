import type { FieldPacket, PoolConnection, QueryResult, ResultSetHeader } from 'mysql2/promise';
import { classify, DeadlineExceeded, withDeadline } from './failure.ts';
import { type Argument, CommitUnanswered, READ_ONLY, type Row, type Statements, Undone, UnfitServer } from './sql.ts';

/**
 * What a server says that can't be used: it was made read-only (1290, 1836), a plugin of its replication refuses (3100),
 * or it isn't part of its cluster's majority (1047). A COMMIT that is answered so was rolled back.
 */
const UNFIT: ReadonlySet<unknown> = new Set([1047, 1290, 1836, 3100]);

/**
 * One MySQL connection on loan from the pool. Every statement has a deadline.
 *
 * `usable`: statements run. Left for `broken` by an expired deadline or a fatal error, and by `end`.
 * `broken`: the connection is destroyed, so the server rolls back what was open; nothing more can be sent on it.
 * A connection whose deadline expired is never used again: its answer may still come, and would then be taken for
 * the answer to the next statement.
 */
export class MysqlSession implements Statements {
  readonly dialect = 'mysql';
  readonly #connection: PoolConnection;
  readonly #deadlineMs: number;
  readonly #onBroken: (error: unknown) => void;
  #broken = false;

  /** @param onBroken told why, before anybody else hears of it */
  constructor(connection: PoolConnection, deadlineMs: number, onBroken: (error: unknown) => void = () => {}) {
    this.#connection = connection;
    this.#deadlineMs = deadlineMs;
    this.#onBroken = onBroken;
  }

  get broken(): boolean {
    return this.#broken;
  }

  async all(sql: string, values: readonly Argument[] = []): Promise<Row[]> {
    const [answer] = await this.execute(sql, values.map(toParameter));
    const rows = answer as unknown as Row[];
    if (!isOff(rows[0]?.[READ_ONLY])) this.#break(new UnfitServer('the server has become read-only'));
    return rows;
  }

  async run(sql: string, values: readonly Argument[] = []): Promise<number> {
    const [result] = await this.execute(sql, values.map(toParameter));
    return (result as ResultSetHeader).affectedRows;
  }

  /** A prepared statement; with `rowsAsArray` its rows come as arrays, in the order of the fields. */
  execute(
    sql: string, values: readonly (string | number | Buffer | null)[], rowsAsArray = false,
  ): Promise<[QueryResult, FieldPacket[]]> {
    return this.#within(this.#connection.execute({ sql, rowsAsArray }, [...values]), sql);
  }

  /** Statements that MySQL can't prepare, and those that are run once. */
  async command(sql: string): Promise<void> {
    await this.#within(this.#connection.query(sql), sql);
  }

  /** Throws CommitUnanswered, except where the server said that it had rolled back instead. */
  async commit(): Promise<void> {
    try {
      await this.command('COMMIT');
    } catch (error) {
      this.#destroy();
      if (error instanceof UnfitServer) throw new Undone(error);
      throw classify(error) === 'contention' ? error : new CommitUnanswered(error);
    }
  }

  /** Never throws: what can't be rolled back by a statement is rolled back by the end of its connection. */
  async rollback(): Promise<void> {
    if (this.#broken) return;
    await this.command('ROLLBACK').catch(() => this.#destroy());
  }

  /** Gives the connection back to the pool, unless it is broken. */
  end(): void {
    if (!this.#broken) this.#connection.release();
    this.#broken = true;
  }

  async #within<T>(answer: Promise<T>, sql: string): Promise<T> {
    try {
      return await withDeadline(answer, sql, this.#deadlineMs);
    } catch (error) {
      const { errno, fatal } = error as { errno?: number; fatal?: boolean };
      if (UNFIT.has(errno)) this.#break(new UnfitServer('the server takes no writes', error));
      if (error instanceof DeadlineExceeded || fatal === true) this.#break(error);
      throw error;
    }
  }

  #break(error: unknown): never {
    this.#destroy();
    this.#onBroken(error);
    throw error;
  }

  #destroy(): void {
    if (!this.#broken) this.#connection.destroy();
    this.#broken = true;
  }
}

/** `YYYY-MM-DD hh:mm:ss.mmm` in UTC, which is how this program's connections give and take a DATETIME(3). */
export function toDateTime(date: Date): string {
  return date.toISOString().replace('T', ' ').replace('Z', '');
}

/** MySQL says 0 and 1; a newer MariaDB knows more words than ON for servers that are read-only. */
function isOff(value: Row[string] | undefined): boolean {
  return value === undefined || /^(0|OFF)$/i.test(String(value));
}

function toParameter(value: Argument): string | number | null {
  if (value instanceof Date) return toDateTime(value);
  // Whole numbers as text: mysql2 sends a number as a DOUBLE, which MySQL 8 refuses behind LIMIT.
  if (typeof value === 'number') return String(value);
  return typeof value === 'boolean' ? Number(value) : value;
}
