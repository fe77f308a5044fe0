import {
  type ArgType, type ColumnType, ColumnTypeEnum, DriverAdapterError, type IsolationLevel, type SqlDriverAdapter,
  type SqlDriverAdapterFactory, type SqlQuery, type SqlQueryable, type SqlResultSet, type Transaction,
} from '@prisma/driver-adapter-utils';
import mysql, { type FieldPacket, type ResultSetHeader } from 'mysql2/promise';
import { classify } from './failure.ts';
import { type MysqlSession, toDateTime } from './mysql-session.ts';
import type { MysqlStore } from './mysql-store.ts';
import { CommitUnanswered } from './sql.ts';

// Prisma over mysql2: one driver, one pool, one set of deadlines for Prisma's statements and for our own.

const { Types } = mysql;
const NAME = 'trivet-mysql2';
const BINARY_CHARSET = 63;

/** Makes Prisma use the connections of `store`. Closing them stays the store's business. */
export function mysqlAdapter(store: MysqlStore): SqlDriverAdapterFactory {
  return {
    provider: 'mysql',
    adapterName: NAME,
    connect: async () => new Adapter(store),
  };
}

abstract class Queryable implements SqlQueryable {
  readonly provider = 'mysql';
  readonly adapterName = NAME;

  async queryRaw(query: SqlQuery): Promise<SqlResultSet> {
    const [rows, fields] = await this.#execute(query);
    if (!Array.isArray(rows)) {
      return { columnNames: [], columnTypes: [], rows: [], lastInsertId: String((rows as ResultSetHeader).insertId) };
    }
    const columnTypes = fields.map(columnType);
    return {
      columnNames: fields.map((field) => field.name),
      columnTypes,
      rows: (rows as unknown[][]).map((row) => row.map((value, i) => fromColumn(value, columnTypes[i]!))),
    };
  }

  async executeRaw(query: SqlQuery): Promise<number> {
    const [result] = await this.#execute(query);
    return (result as ResultSetHeader).affectedRows;
  }

  protected abstract withSession<T>(work: (session: MysqlSession) => Promise<T>): Promise<T>;

  #execute({ sql, args, argTypes }: SqlQuery) {
    const values = args.map((value, i) => toParameter(value, argTypes[i]));
    return asPrismaErrors(() => this.withSession((session) => session.execute(sql, values, true)));
  }
}

class Adapter extends Queryable implements SqlDriverAdapter {
  readonly #store: MysqlStore;

  constructor(store: MysqlStore) {
    super();
    this.#store = store;
  }

  async executeScript(script: string): Promise<void> {
    const statements = script.split(/;\s*$/m).filter((statement) => statement.trim() !== '');
    for (const statement of statements) {
      await asPrismaErrors(() => this.withSession((session) => session.command(statement)));
    }
  }

  async startTransaction(isolationLevel?: IsolationLevel): Promise<Transaction> {
    const session = await this.#store.session();
    try {
      if (isolationLevel !== undefined) await session.command(`SET TRANSACTION ISOLATION LEVEL ${isolationLevel}`);
      await session.command('START TRANSACTION');
    } catch (error) {
      session.end();
      throw error;
    }
    return new AdapterTransaction(session);
  }

  getConnectionInfo() {
    return { supportsRelationJoins: false };
  }

  async dispose(): Promise<void> {}

  protected async withSession<T>(work: (session: MysqlSession) => Promise<T>): Promise<T> {
    const session = await this.#store.session();
    try {
      return await work(session);
    } finally {
      session.end();
    }
  }
}

class AdapterTransaction extends Queryable implements Transaction {
  /** With a phantom query, Prisma leaves saying COMMIT and ROLLBACK to the two methods below. */
  readonly options = { usePhantomQuery: true };
  readonly #session: MysqlSession;

  constructor(session: MysqlSession) {
    super();
    this.#session = session;
  }

  async commit(): Promise<void> {
    try {
      await asPrismaErrors(() => this.#session.commit());
    } finally {
      this.#session.end();
    }
  }

  async rollback(): Promise<void> {
    await this.#session.rollback();
    this.#session.end();
  }

  protected withSession<T>(work: (session: MysqlSession) => Promise<T>): Promise<T> {
    return work(this.#session);
  }
}

function toParameter(value: unknown, type: ArgType | undefined): string | number | Buffer | null {
  if (value === null || value === undefined) return null;
  if (value instanceof Date) return toDateTime(value);
  if (value instanceof Uint8Array) return Buffer.from(value);
  if (typeof value === 'boolean') return Number(value);
  if (type?.scalarType === 'datetime') return toDateTime(new Date(String(value)));
  if (type?.scalarType === 'bytes') return Buffer.from(String(value), 'base64');
  // Numbers too: mysql2 would send them as DOUBLE, which MySQL 8 refuses behind LIMIT.
  return String(value);
}

function fromColumn(value: unknown, type: ColumnType): unknown {
  if (value === null) return null;
  if (type === ColumnTypeEnum.DateTime) return `${String(value).replace(' ', 'T')}Z`;
  return type === ColumnTypeEnum.Int64 ? String(value) : value;
}

const COLUMN_TYPES: ReadonlyMap<number | undefined, ColumnType> = new Map<number, ColumnType>([
  [Types.TINY, ColumnTypeEnum.Int32],
  [Types.SHORT, ColumnTypeEnum.Int32],
  [Types.INT24, ColumnTypeEnum.Int32],
  [Types.LONG, ColumnTypeEnum.Int32],
  [Types.LONGLONG, ColumnTypeEnum.Int64],
  [Types.FLOAT, ColumnTypeEnum.Float],
  [Types.DOUBLE, ColumnTypeEnum.Double],
  [Types.DECIMAL, ColumnTypeEnum.Numeric],
  [Types.NEWDECIMAL, ColumnTypeEnum.Numeric],
  [Types.DATETIME, ColumnTypeEnum.DateTime],
  [Types.TIMESTAMP, ColumnTypeEnum.DateTime],
  [Types.JSON, ColumnTypeEnum.Json],
]);
const BLOBS: ReadonlySet<number | undefined> = new Set([
  Types.TINY_BLOB, Types.MEDIUM_BLOB, Types.LONG_BLOB, Types.BLOB,
]);

function columnType(field: FieldPacket): ColumnType {
  const { columnType: type, columnLength, characterSet } = field;
  if (type === Types.TINY && columnLength === 1) return ColumnTypeEnum.Boolean;
  if (BLOBS.has(type) && characterSet === BINARY_CHARSET) return ColumnTypeEnum.Bytes;
  return COLUMN_TYPES.get(type) ?? ColumnTypeEnum.Text;
}

/**
 * Names the server's errors that Prisma has codes for. Everything else keeps its own class and errno, because Prisma
 * hands on what it doesn't know, and failure.ts reads those.
 */
async function asPrismaErrors<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof CommitUnanswered) throw error;
    const { errno, sqlMessage = '' } = error as { errno?: number; sqlMessage?: string };
    const original = { originalCode: String(errno), originalMessage: sqlMessage };
    const failure = errno === undefined ? 'unavailable' : classify(error);
    if (failure === 'duplicate') {
      const index = /for key '(?:[^']*\.)?([^'.]+)'/.exec(sqlMessage)?.[1] ?? '';
      throw new DriverAdapterError({ kind: 'UniqueConstraintViolation', constraint: { index }, ...original });
    }
    if (failure === 'orphan') throw new DriverAdapterError({ kind: 'ForeignKeyConstraintViolation', ...original });
    if (failure === 'contention') throw new DriverAdapterError({ kind: 'TransactionWriteConflict', ...original });
    throw error;
  }
}
