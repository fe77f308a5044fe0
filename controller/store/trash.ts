import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt, classify } from './failure.ts';
import { nameKey, nameTaken, trashName } from './names.ts';
import { removeEveryCopy } from './removals.ts';
import { resolveFindings } from './resolve-findings.ts';
import { type Statements, rowLock } from './sql.ts';

/**
 * The trash: repositories that nobody can read or push to, and that are whole all the same. Their replicas are verified,
 * repaired and moved like any other's, for they may be restored.
 *
 * ready --put--> trashed --restore--> ready
 *                   `----purge----> (gone; its copies are in `removals`)
 *
 * Each arrow is one SQL transaction on the repository's row, as a decision is: of a push and a `put` one comes first, and
 * a decision that comes second is refused.
 */
export class Trash {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Puts a repository into the trash, which frees its name. False when there is none of this name.
   * Throws `repository_importing`.
   */
  async put(repository: { id: string; name: string }): Promise<boolean> {
    const { id, name } = repository;
    return attempt(async () => {
      const count = await this.#db.sql.run(
        `UPDATE repositories SET state = 'trashed', name = ?, name_key = NULL, trashed_name = ?, trashed_at = ?
         WHERE id = ? AND name = ? AND state = 'ready'`,
        [trashName(id), name, await this.#db.now(), id, name],
      );
      if (count === 1) return true;
      const [row] = await this.#db.sql.all('SELECT state FROM repositories WHERE id = ? AND name = ?', [id, name]);
      if (row?.['state'] === 'importing') throw new TrivetError('repository_importing', { repository: name });
      return false;
    });
  }

  /** Takes a repository out again, under this name. Throws `repository_not_found`, `repository_exists`. */
  async restore(id: string, name: string): Promise<void> {
    await attempt(async () => {
      let count: number;
      try {
        count = await this.#db.sql.run(
          `UPDATE repositories SET state = 'ready', name = ?, name_key = ?, trashed_name = NULL, trashed_at = NULL
           WHERE id = ? AND state = 'trashed'`,
          [name, nameKey(name), id],
        );
      } catch (error) {
        if (classify(error) !== 'duplicate') throw error;
        throw await nameTaken(this.#db.sql, name, error);
      }
      if (count === 0) throw new TrivetError('repository_not_found', { repository: trashName(id) });
    });
  }

  /** What has been in the trash for longer than that. @param limit how many at most */
  async expired(retentionMs: number, limit: number): Promise<string[]> {
    return attempt(async () => {
      const before = new Date((await this.#db.now()).getTime() - retentionMs);
      const rows = await this.#db.sql.all('SELECT id FROM repositories WHERE trashed_at <= ? ORDER BY trashed_at LIMIT ?', [before, limit]);
      return rows.map((row) => String(row['id']));
    });
  }

  /** Takes a repository away for good; its copies go from the disks afterwards. False when it isn't in the trash. */
  async purge(id: string): Promise<boolean> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const [row] = await statements.all(`SELECT state FROM repositories WHERE id = ? ${rowLock(statements)}`, [id]);
      if (row?.['state'] !== 'trashed') return false;
      await removeRepository(statements, id);
      return true;
    }));
  }
}

/**
 * Takes a repository's rows away, whose row is locked. Decisions stay: a node may still ask for one. What was found on its
 * disks will never be repaired.
 */
export async function removeRepository(statements: Statements, id: string): Promise<void> {
  await removeEveryCopy(statements, id, 'purged');
  await resolveFindings(statements, id, new Date());
  await statements.run('DELETE FROM repositories WHERE id = ?', [id]);
}
