import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { orKeep } from './sql.ts';

/** No lease is longer: what ends further ahead was written by a clock that has been set back since. */
const FARTHEST_MS = 600_000;

/** Which replica of a repository is being maintained: one at a time, for as long as its node renews the lease. */
export class MaintenanceLeases {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Takes a repository's lease for a node, or renews the one it has. False while another node's is running. */
  async take(repository: string, node: string, leaseMs: number): Promise<boolean> {
    return attempt(async () => {
      const { dialect } = this.#db.sql;
      const now = await this.#db.now();
      await this.#db.sql.run(
        `INSERT INTO maintenance_leases (repository_id, node_id, lease_until) VALUES (?, ?, ?) ${orKeep(dialect, 'maintenance_leases', ['repository_id'])}`,
        [repository, node, now],
      );
      const count = await this.#db.sql.run(
        `UPDATE maintenance_leases SET node_id = ?, lease_until = ?
         WHERE repository_id = ? AND (node_id = ? OR lease_until <= ? OR lease_until > ?)`,
        [node, new Date(now.getTime() + leaseMs), repository, node, now, new Date(now.getTime() + FARTHEST_MS)],
      );
      return count === 1;
    });
  }

  /** Gives the lease back, if it is this node's. */
  async release(repository: string, node: string): Promise<void> {
    await attempt(() => this.#db.sql.run('DELETE FROM maintenance_leases WHERE repository_id = ? AND node_id = ?', [repository, node]));
  }
}
