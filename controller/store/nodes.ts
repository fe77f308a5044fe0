import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import type { Node, NodeState } from './rows.ts';
import { placeholders } from './sql.ts';

/** The replica servers that have ever registered. */
export class Nodes {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Records that a node is there, under this URL, since this boot. A new one is active; others stay what they were. */
  async register(node: { id: string; url: string; boot: string }): Promise<void> {
    const { id, url, boot } = node;
    const now = new Date();
    const conflict = this.#db.dialect === 'mysql' ? 'ON DUPLICATE KEY UPDATE' : 'ON CONFLICT (id) DO UPDATE SET';
    await attempt(() => this.#db.sql.run(
      `INSERT INTO nodes (id, url, boot, state, seen_at) VALUES (?, ?, ?, 'active', ?)
       ${conflict} url = ?, boot = ?, seen_at = ?`,
      [id, url, boot, now, url, boot, now],
    ));
  }

  /** Whether this boot of a node is the last one that registered. */
  async isAtBoot(id: string, boot: string): Promise<boolean> {
    return attempt(async () => (await this.#db.sql.all('SELECT 1 FROM nodes WHERE id = ? AND boot = ?', [id, boot])).length > 0);
  }

  /** Records that nodes were heard of by this controller just now. */
  async heard(ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await attempt(async () => {
      await this.#db.sql.run(`UPDATE nodes SET heard_at = ? WHERE id IN (${placeholders(ids.length)})`, [await this.#db.now(), ...ids]);
    });
  }

  /** Which of these nodes any controller has heard of within the last so many milliseconds. */
  async heardLately(ids: readonly string[], withinMs: number): Promise<string[]> {
    if (ids.length === 0) return [];
    return attempt(async () => {
      const since = new Date((await this.#db.now()).getTime() - withinMs);
      const rows = await this.#db.sql.all(
        `SELECT id FROM nodes WHERE heard_at >= ? AND id IN (${placeholders(ids.length)}) ORDER BY id`, [since, ...ids],
      );
      return rows.map((row) => String(row['id']));
    });
  }

  /** All nodes in the order of their ids. */
  async list(): Promise<Node[]> {
    const rows = await attempt(() => this.#db.prisma.node.findMany({ orderBy: { id: 'asc' } }));
    return rows.map((row) => ({ ...row, state: row.state as NodeState }));
  }

  /** Throws `not_found` for a node that never registered. */
  async setState(id: string, state: NodeState): Promise<void> {
    const { count } = await attempt(() => this.#db.prisma.node.updateMany({ where: { id }, data: { state } }));
    if (count === 0) throw new TrivetError('not_found', { node: id });
  }
}
