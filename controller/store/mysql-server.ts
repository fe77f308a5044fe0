import mysql, { type PoolConnection, type RowDataPacket } from 'mysql2/promise';
import { DeadlineExceeded, withDeadline } from './failure.ts';
import { sessionSettings } from './mysql-settings.ts';
import { UnfitServer } from './sql.ts';

const IDLE_MS = 5_000;

/**
 * One server and the connections to it, each checked and set up before its first statement.
 *
 * A connection is `fresh` until its server has said that it takes writes and the session has its settings, then `ready`;
 * `retire` makes all there are `stale`: they are closed instead of being given out. Another one to the same address may
 * reach another server by then, as behind a name that has moved.
 */
export class MysqlServer {
  readonly #options: mysql.ConnectionOptions;
  readonly #deadlineMs: number;
  readonly #pool: mysql.Pool;
  readonly #open = new Set<mysql.Connection>();
  readonly #ready = new WeakSet<object>();

  constructor(options: mysql.ConnectionOptions, limits: { poolSize: number; deadlineMs: number }) {
    this.#options = options;
    this.#deadlineMs = limits.deadlineMs;
    this.#pool = mysql.createPool({
      ...options,
      connectionLimit: limits.poolSize,
      // One fewer than the limit, else mysql2 never closes an idle one.
      maxIdle: Math.max(1, limits.poolSize - 1),
      idleTimeout: IDLE_MS,
    });
    this.#pool.on('connection', (connection) => {
      this.#open.add(connection);
      connection.on('end', () => this.#open.delete(connection));
      connection.on('error', () => this.#open.delete(connection));
    });
  }

  /** A connection that is ready. Throws DeadlineExceeded when none came free in time, UnfitServer for a server without writes. */
  async acquire(): Promise<PoolConnection> {
    for (;;) {
      const connection = await this.#next();
      const plain = connection.connection;
      if (this.#ready.has(plain)) return connection;
      // It was ready once, and isn't any more.
      if (!this.#open.has(plain as unknown as mysql.Connection)) {
        connection.destroy();
        continue;
      }
      try {
        await withDeadline(this.#setUp(connection), 'setting a connection up', this.#deadlineMs);
        this.#ready.add(plain);
        return connection;
      } catch (error) {
        connection.destroy();
        throw error;
      }
    }
  }

  /** A connection that no pool knows of, without the settings of ours. */
  async connect(): Promise<mysql.Connection> {
    const pending = mysql.createConnection(this.#options);
    try {
      return await withDeadline(pending, 'connecting', this.#deadlineMs);
    } catch (error) {
      if (error instanceof DeadlineExceeded) pending.then((connection) => connection.destroy(), () => {});
      throw error;
    }
  }

  /** Whatever is connected by now is not used again. */
  retire(): void {
    for (const connection of this.#open) this.#ready.delete(connection);
    this.#open.clear();
  }

  /** Ends within the deadline, whether or not the server still answers. */
  async close(): Promise<void> {
    const open = [...this.#open];
    await withDeadline(this.#pool.end(), 'closing the pool', this.#deadlineMs).catch(() => {});
    for (const connection of open) connection.destroy();
  }

  async #next(): Promise<PoolConnection> {
    const pending = this.#pool.getConnection();
    try {
      return await withDeadline(pending, 'the wait for a connection', this.#deadlineMs);
    } catch (error) {
      // It may come late, and would then be lost to the pool.
      if (error instanceof DeadlineExceeded) pending.then((connection) => connection.release(), () => {});
      throw error;
    }
  }

  async #setUp(connection: PoolConnection): Promise<void> {
    const [rows] = await connection.query<RowDataPacket[]>(
      "SHOW VARIABLES WHERE Variable_name IN ('read_only', 'wsrep_on', 'group_replication_consistency')",
    );
    const variables = new Map(rows.map((row) => [String(row['Variable_name']), String(row['Value'])]));
    if (!/^(OFF|0)$/i.test(variables.get('read_only') ?? 'OFF')) throw new UnfitServer('the server is read-only');
    for (const setting of sessionSettings(this.#deadlineMs, variables)) await connection.query(setting);
  }
}
