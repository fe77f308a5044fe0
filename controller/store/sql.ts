/** One value of a row, as either database gives it. */
export type Value = string | number | bigint | null;
export type Row = Record<string, Value>;
export type Argument = string | number | boolean | Date | null;

/** Where statements run: one connection inside a SQL transaction, or any. `?` stands for a value in both dialects. */
export interface Statements {
  readonly dialect: 'mysql' | 'sqlite';
  /** The rows of a query. */
  all(sql: string, values?: readonly Argument[]): Promise<Row[]>;
  /** Runs a statement and tells how many rows it matched. */
  run(sql: string, values?: readonly Argument[]): Promise<number>;
}

/**
 * Statements without Prisma between: for the path of every push and read, for row locks, and for inserts that may find
 * their row there already, none of which Prisma can say in one statement.
 */
export interface Sql extends Statements {
  /**
   * Runs `work` in one SQL transaction, READ COMMITTED on MySQL, alone on SQLite.
   * When `work` throws, everything is rolled back and what it threw comes out.
   * Throws CommitUnanswered when nobody can tell whether the SQL transaction was committed.
   */
  transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T>;
}

/** COMMIT was sent and its answer never came: the SQL transaction may be durable, or may not. */
export class CommitUnanswered extends Error {
  constructor(cause: unknown) {
    super('the answer to COMMIT was lost', { cause });
    this.name = 'CommitUnanswered';
  }
}

/** Nothing was done, surely: the connection was lost before COMMIT was sent, or none was to be had. */
export class Undone extends Error {
  constructor(cause: unknown) {
    super('the database was lost before anything was done', { cause });
    this.name = 'Undone';
  }
}

/** This server can't be used at the moment: it takes no writes, or isn't part of its own cluster. Another one may. */
export class UnfitServer extends Error {
  constructor(message: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'UnfitServer';
  }
}

/** The column by which a query asks whether the server that answers takes writes: what another one reads may be old. */
export const READ_ONLY = 'server_read_only';

/** A table of one row with the column READ_ONLY. */
export function serverRow(dialect: 'mysql' | 'sqlite'): string {
  return dialect === 'mysql' ? `(SELECT @@global.read_only AS ${READ_ONLY})` : `(SELECT 0 AS ${READ_ONLY})`;
}

/** What a SELECT ends in that keeps its rows for the SQL transaction it is in. SQLite has one writer at a time anyway. */
export function rowLock({ dialect }: Statements): string {
  return dialect === 'mysql' ? 'FOR UPDATE' : '';
}

/** `?, ?, ?` for as many values. */
export function placeholders(count: number): string {
  return count === 0 ? '' : `?${', ?'.repeat(count - 1)}`;
}

/** A condition and the values of its `?`; undefined where there is nothing to ask for. */
export type Condition = readonly [sql: string, ...values: Argument[]] | undefined;

/** `column = value`, where there is a value. */
export function equal(column: string, value: Argument | undefined): Condition {
  return value === undefined ? undefined : [`${column} = ?`, value];
}

/**
 * One page of rows that fulfil every condition, the newest first: ids begin with the time of their making.
 * @param select up to where WHERE would stand
 * @param page.after the last id of the page before
 */
export function newestFirst(
  statements: Statements, select: string, id: string, conditions: readonly Condition[], page: { after?: string; limit: number },
): Promise<Row[]> {
  const asked = [...conditions, page.after === undefined ? undefined : [`${id} < ?`, page.after] as const]
    .filter((condition) => condition !== undefined);
  const where = asked.length === 0 ? '' : `WHERE ${asked.map(([sql]) => sql).join(' AND ')}`;
  return statements.all(
    `${select} ${where} ORDER BY ${id} DESC LIMIT ?`, [...asked.flatMap(([, ...values]) => values), page.limit],
  );
}

/** Removes rows whose `column`, a date, is before then, `limit` at most. Returns how many. */
export async function removeBefore(statements: Statements, table: string, column: string, before: Date, limit: number): Promise<number> {
  const rows = await statements.all(`SELECT id FROM ${table} WHERE ${column} < ? LIMIT ?`, [before, limit]);
  if (rows.length === 0) return 0;
  return statements.run(`DELETE FROM ${table} WHERE id IN (${placeholders(rows.length)})`, rows.map((row) => row['id'] as string));
}

/**
 * What to write behind an INSERT so that a row that is there already stays as it is.
 * @param key the columns of one of `table`'s unique keys
 */
export function orKeep(dialect: 'mysql' | 'sqlite', table: string, key: readonly string[]): string {
  // Not INSERT IGNORE: on MySQL that swallows every other error of the row as well.
  return dialect === 'mysql'
    ? `ON DUPLICATE KEY UPDATE ${key[0]} = ${table}.${key[0]}`
    : `ON CONFLICT (${key.join(', ')}) DO NOTHING`;
}

/** A DATETIME column as a Date. MySQL's connections give it as text in UTC, SQLite holds milliseconds since 1970. */
export function toDate(value: Value | undefined): Date {
  return typeof value === 'string' ? new Date(`${value.replace(' ', 'T')}Z`) : new Date(Number(value));
}
