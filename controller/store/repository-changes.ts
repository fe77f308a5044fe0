import type { Policy } from '@trivet/proto/messages.ts';
import type { Database } from './database.ts';
import { attempt, classify } from './failure.ts';
import { nameKey, nameTaken } from './names.ts';
import type { Argument } from './sql.ts';

/** What isn't given stays. */
export interface RepositoryChange {
  /** The new name. */
  name?: string;
  replicationFactor?: number;
  policy?: Partial<Policy>;
}

/**
 * Changes what SQL alone says of a repository, in one statement: all of it or nothing, whoever dies. Pushes and reads
 * that run go on, for they know a repository by its id.
 */
export class RepositoryChanges {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * A replication factor that falls holds at once: a push needs fewer promises, and surplus replicas go later. One that
   * rises is intended first, and holds once as many replicas are current: until then no push needs a quorum that can't
   * be had.
   * @param name what it is called now
   * @returns false when there is none of this name
   * Throws `repository_exists` when the new name is taken.
   */
  async apply(name: string, change: RepositoryChange): Promise<boolean> {
    const set: [sql: string, ...values: Argument[]][] = [];
    if (change.name !== undefined) set.push(['name = ?, name_key = ?', change.name, nameKey(change.name)]);
    const { denyNonFastForwards, denyDeletes } = change.policy ?? {};
    if (denyNonFastForwards !== undefined) set.push(['deny_non_fast_forwards = ?', denyNonFastForwards]);
    if (denyDeletes !== undefined) set.push(['deny_deletes = ?', denyDeletes]);
    const { replicationFactor: factor } = change;
    if (factor !== undefined) {
      // In this order: MySQL assigns from left to right, and sees what it has assigned.
      set.push(
        ['intended_factor = CASE WHEN replication_factor < ? THEN ? ELSE NULL END', factor, factor],
        ['replication_factor = CASE WHEN replication_factor > ? THEN ? ELSE replication_factor END', factor, factor],
      );
    }
    if (set.length === 0) return true;
    return attempt(async () => {
      try {
        const count = await this.#db.sql.run(
          `UPDATE repositories SET ${set.map(([sql]) => sql).join(', ')} WHERE name = ? AND state <> 'trashed'`,
          [...set.flatMap(([, ...values]) => values), name],
        );
        return count === 1;
      } catch (error) {
        if (classify(error) !== 'duplicate') throw error;
        throw await nameTaken(this.#db.sql, change.name ?? name, error);
      }
    });
  }
}
