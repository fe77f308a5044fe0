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

/** `?, ?, ?` for as many values. */
export function placeholders(count: number): string {
  return Array.from({ length: count }, () => '?').join(', ');
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
