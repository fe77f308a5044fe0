import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { orKeep } from './sql.ts';

/**
 * Who does which background work for all controllers.
 *
 * A duty is held until `lease_until` by the server's clock. Its holder may renew it until then; after that whoever comes
 * first takes it, the old holder as well, and the fence rises by one.
 */
export class Duties {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Renews or takes a duty, if nobody else holds it now.
   * @param holder unique among all processes that ever ask
   * @returns the fence, which rises whenever the duty changes hands; undefined when somebody else holds it
   */
  async hold(name: string, holder: string, leaseMs: number): Promise<number | undefined> {
    return attempt(async () => {
      const { sql } = this.#db;
      const now = await this.#db.now();
      const until = new Date(now.getTime() + leaseMs);
      const taken = () => sql.run(
        'UPDATE duties SET holder = ?, fence = fence + 1, lease_until = ? WHERE name = ? AND lease_until <= ?', [holder, until, name, now],
      );
      const renewed = await sql.run(
        'UPDATE duties SET lease_until = ? WHERE name = ? AND holder = ? AND lease_until > ?', [until, name, holder, now],
      );
      if (renewed === 0 && await taken() === 0) {
        await sql.run(
          `INSERT INTO duties (name, holder, fence, lease_until) VALUES (?, '', 0, ?) ${orKeep(sql.dialect, 'duties', ['name'])}`,
          [name, new Date(0)],
        );
        if (await taken() === 0) return undefined;
      }
      const [row] = await sql.all('SELECT fence FROM duties WHERE name = ? AND holder = ?', [name, holder]);
      return row === undefined ? undefined : Number(row['fence']);
    });
  }

  /** Gives back what a holder holds, for others to take at once. */
  async release(holder: string): Promise<void> {
    await attempt(() => this.#db.sql.run('UPDATE duties SET lease_until = ? WHERE holder = ?', [new Date(0), holder]));
  }
}
