import { isNativeError } from 'node:util/types';
import Libsql from 'libsql';
import type { Argument, Row } from './sql.ts';

/** What a statement gave: the shape of libsql's own client, as far as Prisma's adapter looks at it. */
export interface StatementResult {
  columns: string[];
  columnTypes: string[];
  /** Values in the order of the columns; integers are numbers where they fit, else bigints. */
  rows: unknown[][];
  rowsAffected: number;
  lastInsertRowid: bigint | undefined;
}

interface Prepared {
  statement: Libsql.Statement<unknown[]>;
  /** Undefined when the statement gives no rows. */
  columns: Libsql.ColumnDefinition[] | undefined;
}

/** What SQLite said: `code` is the name of its primary result code, `rawCode` the extended one as a number. */
export class SqliteFailure extends Error {
  readonly code: string;
  readonly rawCode: number;

  constructor(message: string, code: string, rawCode: number) {
    super(message);
    this.name = 'SqliteFailure';
    this.code = code;
    this.rawCode = rawCode;
  }
}

/** Statements of this program are few; Prisma's vary with the number of values. */
const MAX_PREPARED = 200;

/**
 * One connection to a SQLite file. Statements stay prepared: parsing one takes longer than running it, and libsql's own
 * client asks it for its columns twice and once more by an exception, each time.
 */
export class SqliteConnection {
  readonly #path: string;
  readonly #prepared = new Map<string, Prepared>();
  #database: Libsql.Database;

  /** @param url `file:/absolute/path.db` */
  constructor(url: string) {
    this.#path = url.replace(/^file:/, '');
    this.#database = new Libsql(this.#path);
  }

  /** The rows of a query, by column. */
  all(sql: string, values: readonly Argument[]): Row[] {
    const { columns, rows } = this.execute(sql, values);
    return rows.map((row) => Object.fromEntries(row.map((value, i) => [columns[i]!, value])) as Row);
  }

  /** @throws SqliteFailure */
  execute(sql: string, values: readonly Argument[]): StatementResult {
    try {
      return this.#execute(sql, values);
    } catch (error) {
      throw asFailure(error);
    }
  }

  /** Begins anew on the same file; settings made by PRAGMA are gone. */
  reconnect(): void {
    this.close();
    this.#database = new Libsql(this.#path);
  }

  close(): void {
    this.#prepared.clear();
    this.#database.close();
  }

  #execute(sql: string, values: readonly Argument[]): StatementResult {
    const { statement, columns } = this.#prepare(sql);
    const bound = values.map(toSql);
    if (columns === undefined) {
      const { changes, lastInsertRowid } = statement.run(bound);
      return { columns: [], columnTypes: [], rows: [], rowsAffected: changes, lastInsertRowid: BigInt(lastInsertRowid) };
    }
    const rows = (statement.all(bound) as unknown[][]).map((row) => row.map(fromSql));
    return {
      columns: columns.map((column) => column.name), columnTypes: columns.map((column) => column.type ?? ''),
      rows, rowsAffected: 0, lastInsertRowid: undefined,
    };
  }

  #prepare(sql: string): Prepared {
    let prepared = this.#prepared.get(sql);
    if (prepared !== undefined) return prepared;
    const statement = this.#database.prepare(sql);
    statement.safeIntegers(true);
    const columns = statement.reader ? statement.columns() : undefined;
    if (columns !== undefined) statement.raw(true);
    prepared = { statement, columns };
    this.#prepared.set(sql, prepared);
    for (const oldest of this.#prepared.keys()) {
      if (this.#prepared.size <= MAX_PREPARED) break;
      this.#prepared.delete(oldest);
    }
    return prepared;
  }
}

function toSql(value: Argument): string | number | bigint | null {
  if (value instanceof Date) return value.getTime();
  if (typeof value === 'boolean') return value ? 1 : 0;
  return value;
}

function fromSql(value: unknown): unknown {
  return typeof value === 'bigint' && Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

/** libsql's errors inherit from Error without being one. */
function asFailure(error: unknown): unknown {
  const { message, code, rawCode } = error as { message?: unknown; code?: unknown; rawCode?: unknown };
  if (isNativeError(error) || typeof code !== 'string' || typeof rawCode !== 'number') return error;
  return new SqliteFailure(String(message), code, rawCode);
}
