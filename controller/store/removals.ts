import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { resolveFindings } from './resolve-findings.ts';
import { orKeep, placeholders, type Statements } from './sql.ts';

export const REMOVAL_REASONS = ['moved', 'surplus', 'purged'] as const;
export type RemovalReason = typeof REMOVAL_REASONS[number];

/** A copy on a node's disk that is a replica no more. */
export interface Removal {
  repository: string;
  node: string;
}

/** Copies that shall go from the disks. A row is written in the SQL transaction that takes the replica's row away. */
export class Removals {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** What is to go from these nodes, `limit` at most. One that is a replica again by now stays. */
  async due(nodes: readonly string[], limit: number): Promise<Removal[]> {
    if (nodes.length === 0) return [];
    return attempt(async () => {
      const rows = await this.#db.sql.all(
        `SELECT d.repository_id, d.node_id FROM removals d WHERE d.node_id IN (${placeholders(nodes.length)})
           AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.repository_id = d.repository_id AND r.node_id = d.node_id)
         ORDER BY d.node_id, d.repository_id LIMIT ?`,
        [...nodes, limit],
      );
      return rows.map((row) => ({ repository: String(row['repository_id']), node: String(row['node_id']) }));
    });
  }

  /** The ids of the repositories whose copies on a node shall go. */
  async ofNode(node: string): Promise<string[]> {
    const rows = await attempt(() => this.#db.sql.all('SELECT repository_id FROM removals WHERE node_id = ?', [node]));
    return rows.map((row) => String(row['repository_id']));
  }

  /** The node has said that the copy is gone: forgets the removal, and what was found wrong there. */
  async done({ repository, node }: Removal): Promise<void> {
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      await statements.run('DELETE FROM removals WHERE repository_id = ? AND node_id = ?', [repository, node]);
      await resolveFindings(statements, repository, new Date(), { node, kind: 'unknown' });
    }));
  }

  /** Whether a copy is a replica: then it isn't deleted, whoever asks for it. */
  async isReplica({ repository, node }: Removal): Promise<boolean> {
    const rows = await attempt(() => this.#db.sql.all('SELECT 1 AS one FROM replicas WHERE repository_id = ? AND node_id = ?', [repository, node]));
    return rows.length > 0;
  }

  /** How many wait, on each node that has some. */
  async count(): Promise<Map<string, number>> {
    const rows = await attempt(() => this.#db.sql.all('SELECT node_id, COUNT(*) AS count FROM removals GROUP BY node_id'));
    return new Map(rows.map((row) => [String(row['node_id']), Number(row['count'])]));
  }
}

/** Takes note that every copy of a repository shall go from the disks; in the SQL transaction that takes its row away. */
export async function removeEveryCopy(statements: Statements, repository: string, reason: RemovalReason): Promise<void> {
  await statements.run(
    `INSERT INTO removals (repository_id, node_id, reason, created_at)
     SELECT r.repository_id, r.node_id, ?, ? FROM replicas r WHERE r.repository_id = ?
     ${orKeep(statements.dialect, 'removals', ['repository_id', 'node_id'])}`,
    [reason, new Date(), repository],
  );
}
