import { setTimeout as sleep } from 'node:timers/promises';
import { PrismaLibSql } from '@prisma/adapter-libsql';
import { DeadlineExceeded, withDeadline } from './failure.ts';
import { SqliteConnection, type StatementResult } from './sqlite-connection.ts';
import { type Argument, CommitUnanswered, type Row, type Sql, type Statements } from './sql.ts';

type Client = ReturnType<PrismaLibSql['createClient']>;
type ClientTransaction = Awaited<ReturnType<Client['transaction']>>;

const BUSY = 5;
const PRIMARY_CODE_MASK = 255;
const BUSY_PAUSE_MS = 10;

/**
 * One connection to one SQLite file, shared by Prisma and by our own statements. A SQL transaction has it to itself:
 * every other statement of this process, reads included, waits in a queue until it ends, at most for the deadline.
 *
 * libsql's own client opens another connection after every SQL transaction, without the settings made below, and
 * leaves the old one to the garbage collector. So Prisma is given a client that begins and ends them on this one.
 *
 * Statements run on the event loop's thread. The busy handler is off for that reason: it would stop the loop, and
 * with it whoever holds the lock in this process. Waiting for another process is done here, between statements.
 */
export class SqliteStore implements Sql {
  readonly dialect = 'sqlite';
  readonly #connection: SqliteConnection;
  readonly #deadlineMs: number;
  #queue: Promise<void> = Promise.resolve();

  private constructor(connection: SqliteConnection, deadlineMs: number) {
    this.#connection = connection;
    this.#deadlineMs = deadlineMs;
  }

  /** @param url `file:/absolute/path.db`; the file is made when it isn't there */
  static async open(url: string, deadlineMs: number): Promise<SqliteStore> {
    return whileBusy(deadlineMs, async () => {
      const store = new SqliteStore(new SqliteConnection(url), deadlineMs);
      try {
        store.#connection.execute('PRAGMA journal_mode = WAL', []);
        store.#configure();
        return store;
      } catch (error) {
        store.#connection.close();
        throw error;
      }
    });
  }

  all(sql: string, values: readonly Argument[] = []): Promise<Row[]> {
    return this.#alone(() => this.#statements.all(sql, values));
  }

  run(sql: string, values: readonly Argument[] = []): Promise<number> {
    return this.#alone(() => this.#statements.run(sql, values));
  }

  transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    return this.#alone(async () => {
      await this.#begin();
      let result: T;
      try {
        result = await work(this.#statements);
      } catch (error) {
        await this.#rollback();
        throw error;
      }
      await this.#commit();
      return result;
    });
  }

  close(): void {
    this.#connection.close();
  }

  /** The adapter that makes Prisma use this connection. */
  prismaAdapter(): PrismaLibSql {
    const client = this.#prismaClient();
    class OneConnection extends PrismaLibSql {
      override createClient(): Client {
        return client;
      }
    }
    return new OneConnection({ url: 'file:' }, { timestampFormat: 'unixepoch-ms' });
  }

  readonly #statements: Statements = {
    dialect: 'sqlite',
    all: (sql, values = []) => this.#unlocked(() => this.#connection.all(sql, values)),
    run: async (sql, values = []) => (await this.#unlocked(() => this.#connection.execute(sql, values))).rowsAffected,
  };

  /** One statement; again and again while another process has the file's write lock. */
  #unlocked<T>(statement: () => T): Promise<T> {
    return whileBusy(this.#deadlineMs, async () => statement(), () => this.#reopen());
  }

  readonly #execute = (statement: { sql: string; args: Argument[] }): Promise<StatementResult> => (
    this.#unlocked(() => this.#connection.execute(statement.sql, statement.args)));

  /**
   * SQLite keeps a statement that found the file locked active, so that it can be stepped again, and libsql can't
   * reset it before it is collected as garbage. Until then no COMMIT passes ("SQL statements in progress").
   * A locked file is found by BEGIN IMMEDIATE and by single statements only, so nothing is lost by starting afresh.
   */
  async #reopen(): Promise<void> {
    this.#connection.reconnect();
    this.#configure();
  }

  /** FULL: a commit that was answered survives a loss of power. WAL's default would only survive a crash. */
  #configure(): void {
    for (const pragma of ['synchronous = FULL', 'foreign_keys = ON']) this.#connection.execute(`PRAGMA ${pragma}`, []);
  }

  /** IMMEDIATE takes the write lock now. A deferred one would find out at its first write that its reads are stale. */
  async #begin(): Promise<void> {
    await this.#execute({ sql: 'BEGIN IMMEDIATE', args: [] });
  }

  async #commit(): Promise<void> {
    try {
      this.#connection.execute('COMMIT', []);
    } catch (error) {
      await this.#rollback();
      // Busy: nothing was written. Any other error may have struck after the log was.
      throw isBusy(error) ? error : new CommitUnanswered(error);
    }
  }

  /** Some errors have rolled back already, and then there is nothing left to roll back. */
  async #rollback(): Promise<void> {
    try {
      this.#connection.execute('ROLLBACK', []);
    } catch {
      // nothing was open any more
    }
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    const leave = await this.#enter();
    try {
      return await work();
    } finally {
      leave();
    }
  }

  /** Waits for the connection; gives what must be called when it is no longer needed. */
  async #enter(): Promise<() => void> {
    const turn = this.#queue;
    let leave = () => {};
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    this.#queue = turn.then(() => left);
    try {
      await withDeadline(turn, 'the wait for the SQLite connection', this.#deadlineMs);
    } catch (error) {
      if (error instanceof DeadlineExceeded) leave();
      throw error;
    }
    return leave;
  }

  /** What Prisma's adapter uses of a libsql client, and no more. */
  #prismaClient(): Client {
    const client: Pick<Client, 'execute' | 'transaction' | 'close'> = {
      execute: ((statement: { sql: string; args: Argument[] }) => (
        this.#alone(() => this.#execute(statement)))) as unknown as Client['execute'],
      transaction: async () => {
        const leave = await this.#enter();
        try {
          await this.#begin();
        } catch (error) {
          leave();
          throw error;
        }
        const transaction: Pick<ClientTransaction, 'execute' | 'commit' | 'rollback'> = {
          execute: this.#execute as unknown as ClientTransaction['execute'],
          commit: () => this.#commit().finally(leave),
          rollback: () => this.#rollback().finally(leave),
        };
        return transaction as ClientTransaction;
      },
      close: () => {},
    };
    return client as Client;
  }
}

/** Runs `work` until it finds no lock of another process in its way, with `between` after each try that did. */
async function whileBusy<T>(deadlineMs: number, work: () => Promise<T>, between = async () => {}): Promise<T> {
  const startedMs = performance.now();
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isBusy(error)) throw error;
      await between();
      if (performance.now() - startedMs > deadlineMs) throw error;
    }
    await sleep(BUSY_PAUSE_MS);
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { rawCode?: unknown }).rawCode;
  return typeof code === 'number' && (code & PRIMARY_CODE_MASK) === BUSY;
}
