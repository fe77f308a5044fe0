import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { placeholders, type Value, toDate } from './sql.ts';

/** `verify`: refs against SQL. `check`: every object as well. */
export type VerificationKind = 'verify' | 'check';

const COLUMN = {
  verify: { next: 'next_verify_at', done: 'verified_at' },
  check: { next: 'next_check_at', done: 'checked_at' },
} as const;

/** A prime: rows that follow one another are far apart in any interval. */
const STRIDE = 1_000_003;

export interface DueVerification {
  repository: string;
  node: string;
  kind: VerificationKind;
}

/** When each current replica is to be verified next, so that all controllers together do it once. */
export class Verifications {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Plans what nobody has planned yet, spread evenly over the interval: a thousand new repositories must not all be
   * due at once.
   * @param limit replicas at most
   * @param random gives a number from 0 to 1
   * @returns how many there were
   */
  async plan(kind: VerificationKind, intervalMs: number, limit: number, random: () => number): Promise<number> {
    const { next } = COLUMN[kind];
    return attempt(async () => {
      const [found] = await this.#db.sql.all(`SELECT 1 AS found FROM replicas WHERE ${next} IS NULL LIMIT 1`);
      if (found === undefined) return 0;
      const now = await this.#db.now();
      const seed = Math.floor(random() * STRIDE);
      // One statement: after a table was filled from elsewhere there are hundreds of thousands to plan.
      return this.#db.dialect === 'mysql'
        ? this.#db.sql.run(
          `UPDATE replicas SET ${next} = TIMESTAMPADD(MICROSECOND, 1000 * FLOOR(RAND(?) * ?), ?) WHERE ${next} IS NULL LIMIT ?`,
          [seed, intervalMs, now, limit],
        )
        : this.#db.sql.run(
          `UPDATE replicas SET ${next} = ? + (rowid * ${STRIDE} + ?) % ? WHERE rowid IN (SELECT rowid FROM replicas WHERE ${next} IS NULL LIMIT ?)`,
          [now, seed, intervalMs, limit],
        );
    });
  }

  /**
   * Takes one current replica of these nodes that is due, the longest due first, and plans its next turn. Two that
   * claim at once never get the same.
   */
  async claim(kind: VerificationKind, nodes: readonly string[], intervalMs: number): Promise<DueVerification | undefined> {
    if (nodes.length === 0) return undefined;
    const { next } = COLUMN[kind];
    return attempt(async () => {
      const now = await this.#db.now();
      const rows = await this.#db.sql.all(
        `SELECT repository_id, node_id, ${next} AS due FROM replicas
         WHERE ${next} <= ? AND state = 'current' AND node_id IN (${placeholders(nodes.length)}) ORDER BY ${next} LIMIT 5`,
        [now, ...nodes],
      );
      for (const row of rows) {
        const count = await this.#db.sql.run(
          `UPDATE replicas SET ${next} = ? WHERE repository_id = ? AND node_id = ? AND ${next} = ?`,
          [new Date(now.getTime() + intervalMs), String(row['repository_id']), String(row['node_id']), asRead(row['due'])],
        );
        if (count === 1) return { repository: String(row['repository_id']), node: String(row['node_id']), kind };
      }
      return undefined;
    });
  }

  /** Records that a replica was found to be what it should be. A check is a verification too. */
  async done(of: DueVerification): Promise<void> {
    const kinds: VerificationKind[] = of.kind === 'check' ? ['verify', 'check'] : ['verify'];
    await attempt(async () => {
      const now = await this.#db.now();
      await this.#db.sql.run(
        `UPDATE replicas SET ${kinds.map((kind) => `${COLUMN[kind].done} = ?`).join(', ')} WHERE repository_id = ? AND node_id = ?`,
        [...kinds.map(() => now), of.repository, of.node],
      );
    });
  }

  /** Gives a claim back that came to nothing, to be tried again soon. */
  async again(of: DueVerification, afterMs: number): Promise<void> {
    await attempt(async () => {
      const at = new Date((await this.#db.now()).getTime() + afterMs);
      await this.#db.sql.run(
        `UPDATE replicas SET ${COLUMN[of.kind].next} = ? WHERE repository_id = ? AND node_id = ?`, [at, of.repository, of.node],
      );
    });
  }

  /** When the current replica that was verified longest ago was verified; undefined while none was. The first row of an index. */
  async oldest(kind: VerificationKind): Promise<Date | undefined> {
    const { done } = COLUMN[kind];
    const [row] = await attempt(() => this.#db.sql.all(
      `SELECT ${done} AS oldest FROM replicas WHERE state = 'current' AND ${done} IS NOT NULL ORDER BY ${done} LIMIT 1`,
    ));
    return row === undefined ? undefined : toDate(row['oldest']);
  }
}

/** A date as it was read, to be compared with itself. */
function asRead(value: Value | undefined): Date {
  return toDate(value);
}
