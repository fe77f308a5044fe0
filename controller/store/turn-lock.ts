import type mysql from 'mysql2/promise';
import type { Database } from './database.ts';
import { attempt, withDeadline } from './failure.ts';

export interface TurnLockOptions {
  /** Connections at most, one for each repository in whose turn this controller is or for which it waits. */
  maxConnections?: number;
  /** How many of them are kept while nobody uses them. */
  maxIdle?: number;
}

export interface Turn {
  /** Gives the turn back. Never throws: when the connection is dead, so is its lock. */
  release(): Promise<void>;
}

interface Waiter {
  admit(): void;
}

/**
 * A repository's turn, across controllers: a session lock of MySQL, each on a connection of its own, so that the lock
 * of a controller that died goes with its connection, and the pool's connections stay free for statements.
 *
 * It only avoids contention. When the connection breaks, two controllers can be in one turn; then one of their
 * decisions is refused by its compare-and-set. With SQLite there is one controller, whose own queue is enough.
 */
export class TurnLock {
  readonly #db: Database;
  readonly #maxConnections: number;
  readonly #maxIdle: number;
  readonly #idle: mysql.Connection[] = [];
  readonly #waiting: Waiter[] = [];
  #inUse = 0;
  #closed = false;

  constructor(db: Database, options: TurnLockOptions = {}) {
    this.#db = db;
    // A server allows 151 connections by default, and there may be several controllers with a pool each.
    this.#maxConnections = options.maxConnections ?? 32;
    this.#maxIdle = options.maxIdle ?? 8;
  }

  /**
   * Waits for the turn of a repository.
   * @param waitMs for how long; MySQL counts in seconds, so up to one second longer
   * @returns undefined when it wasn't to be had in that time. Throws `store_unavailable`
   */
  async acquire(repository: string, waitMs: number): Promise<Turn | undefined> {
    if (this.#db.dialect === 'sqlite') return { release: async () => {} };
    const startedMs = performance.now();
    if (!await this.#enter(waitMs)) return undefined;
    try {
      const turn = await attempt(() => this.#lock(repository, Math.max(0, waitMs - (performance.now() - startedMs))));
      if (turn === undefined) this.#leave();
      return turn;
    } catch (error) {
      this.#leave();
      throw error;
    }
  }

  /** Closes what is idle. Turns that are held end with their release. */
  close(): void {
    this.#closed = true;
    for (const connection of this.#idle.splice(0)) connection.destroy();
  }

  async #lock(repository: string, waitMs: number): Promise<Turn | undefined> {
    const connection = await this.#connection();
    const name = `trivet-turn-${repository}`;
    const waitSeconds = Math.ceil(waitMs / 1_000);
    try {
      const answer = connection.query<mysql.RowDataPacket[]>('SELECT GET_LOCK(?, ?) AS locked', [name, waitSeconds]);
      const [rows] = await withDeadline(answer, 'GET_LOCK', waitSeconds * 1_000 + this.#db.deadlineMs);
      if (Number(rows[0]?.['locked']) !== 1) {
        this.#keep(connection);
        return undefined;
      }
    } catch (error) {
      connection.destroy();
      throw error;
    }
    return { release: () => this.#release(connection, name) };
  }

  async #release(connection: mysql.Connection, name: string): Promise<void> {
    try {
      await withDeadline(connection.query('DO RELEASE_LOCK(?)', [name]), 'RELEASE_LOCK', this.#db.deadlineMs);
      this.#keep(connection);
    } catch {
      connection.destroy();
    } finally {
      this.#leave();
    }
  }

  async #connection(): Promise<mysql.Connection> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    const connection = await this.#db.connect!();
    // It may end while it is idle; without a listener the error would end the process.
    connection.on('error', () => this.#forget(connection));
    connection.on('end', () => this.#forget(connection));
    return connection;
  }

  #keep(connection: mysql.Connection): void {
    if (this.#closed || this.#idle.length >= this.#maxIdle) connection.destroy();
    else this.#idle.push(connection);
  }

  #forget(connection: mysql.Connection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** Counts one more connection in use; waits for one to come free when there are enough. */
  async #enter(waitMs: number): Promise<boolean> {
    if (this.#inUse < this.#maxConnections) {
      this.#inUse++;
      return true;
    }
    return new Promise((resolve) => {
      const waiter: Waiter = {
        admit: () => {
          clearTimeout(timer);
          resolve(true);
        },
      };
      const timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        resolve(false);
      }, waitMs);
      this.#waiting.push(waiter);
    });
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inUse--;
    else next.admit();
  }
}
