import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { type Row, rowLock, toDate } from './sql.ts';

/** A controller that has said nothing for so long isn't running, as far as others are concerned. */
export const ALIVE_MS = 10_000;
/** How long one is remembered that said nothing any more. */
const REMEMBERED_MS = 86_400_000;

/** The settings that should be the same on all controllers. */
export type SharedSettings = Readonly<Record<string, number>>;

export interface ControllerIdentity {
  /** Its name. */
  id: string;
  /** Drawn anew at every start. */
  boot: string;
  version: string;
  /** Host and process id. */
  process: string;
  settings: SharedSettings;
}

/** What a controller does at the moment. */
export interface Rates { pushesPerSecond: number; readsPerSecond: number }

export interface ControllerRecord extends ControllerIdentity, Rates {
  startedAt: Date;
  seenAt: Date;
  alive: boolean;
}

/** The controllers that have been here lately. Nothing that must be true rests on this: it is for people, and for names. */
export class Controllers {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Records that a controller has started.
   * @param isGone whether the process that had the name is surely gone, however lately it was heard
   * Throws `controller_name_in_use`
   */
  async register(controller: ControllerIdentity, isGone: (process: string) => boolean): Promise<void> {
    const { id, boot, version, process, settings } = controller;
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      const now = await this.#db.now();
      const [row] = await statements.all(`SELECT boot, process, seen_at FROM controllers WHERE id = ? ${rowLock(statements)}`, [id]);
      if (row !== undefined && row['boot'] !== boot && isAlive(row, now) && !isGone(String(row['process']))) {
        throw new TrivetError('controller_name_in_use', { name: id, process: String(row['process']), seenAt: toDate(row['seen_at']).toISOString() });
      }
      if (row !== undefined) await statements.run('DELETE FROM controllers WHERE id = ?', [id]);
      await statements.run(
        'INSERT INTO controllers (id, boot, version, process, settings, started_at, seen_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
        [id, boot, version, process, JSON.stringify(settings), now, now],
      );
    }));
  }

  /** Says that a controller is alive, and what it does. False when another process has come under its name. */
  async renew({ id, boot }: ControllerIdentity, { pushesPerSecond, readsPerSecond }: Rates = { pushesPerSecond: 0, readsPerSecond: 0 }): Promise<boolean> {
    return attempt(async () => await this.#db.sql.run(
      'UPDATE controllers SET seen_at = ?, pushes_per_second = ?, reads_per_second = ? WHERE id = ? AND boot = ?',
      [await this.#db.now(), pushesPerSecond, readsPerSecond, id, boot],
    ) === 1);
  }

  /** A controller ends. */
  async leave({ id, boot }: ControllerIdentity): Promise<void> {
    await attempt(() => this.#db.sql.run('DELETE FROM controllers WHERE id = ? AND boot = ?', [id, boot]));
  }

  /** Those heard of within a day, by name; the others are forgotten. */
  async list(): Promise<ControllerRecord[]> {
    return attempt(async () => {
      const now = await this.#db.now();
      const since = new Date(now.getTime() - REMEMBERED_MS);
      const rows = await this.#db.sql.all(
        `SELECT id, boot, version, process, settings, started_at, seen_at, pushes_per_second, reads_per_second
         FROM controllers WHERE seen_at >= ? ORDER BY id`, [since],
      );
      return rows.map((row) => toController(row, now));
    });
  }

  /** Forgets those that `list` doesn't name any more. */
  async prune(): Promise<void> {
    await attempt(async () => {
      await this.#db.sql.run('DELETE FROM controllers WHERE seen_at < ?', [new Date((await this.#db.now()).getTime() - REMEMBERED_MS)]);
    });
  }
}

function isAlive(row: Row, now: Date): boolean {
  return now.getTime() - toDate(row['seen_at']).getTime() < ALIVE_MS;
}

function toController(row: Row, now: Date): ControllerRecord {
  return {
    id: String(row['id']),
    boot: String(row['boot']),
    version: String(row['version']),
    process: String(row['process']),
    settings: JSON.parse(String(row['settings'])) as SharedSettings,
    startedAt: toDate(row['started_at']),
    seenAt: toDate(row['seen_at']),
    alive: isAlive(row, now),
    pushesPerSecond: Number(row['pushes_per_second']),
    readsPerSecond: Number(row['reads_per_second']),
  };
}
