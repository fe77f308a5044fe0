import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { toReason } from './open-jobs.ts';
import { markReplicas } from './replicas.ts';
import { FINDING_KINDS, type Finding, type FindingKind, type LostState } from './rows.ts';
import { equal, newestFirst, orKeep, placeholders, removeBefore, type Row, type Statements, toDate } from './sql.ts';

export interface FindingFilter {
  open?: boolean;
  /** Ids. */
  repository?: string;
  node?: string;
  /** The last id of the page before. */
  after?: string;
  limit: number;
}

/**
 * What verification found on nodes' disks. Open until the replica is current again (replicas.ts) or the directory that
 * SQL doesn't know is gone; at most one of a kind is open for a directory.
 */
export class Findings {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Records that a replica isn't what it should be, and takes it out of service in the same SQL transaction.
   * @returns whether this is news
   */
  async replica(repository: string, node: string, kind: LostState, detail: string): Promise<boolean> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      await markReplicas(statements, repository, [node], kind, detail);
      return this.#insert(statements, repository, node, kind, detail);
    }));
  }

  /** Records a repository directory that SQL doesn't know. Returns whether this is news. */
  async unknown(repository: string, node: string, detail: string): Promise<boolean> {
    return attempt(() => this.#insert(this.#db.sql, repository, node, 'unknown', detail));
  }

  /** Resolves the unknown directories of a node that are not there any more, or that SQL knows by now. */
  async resolveUnknown(node: string, stillThere: readonly string[]): Promise<void> {
    await attempt(async () => {
      const rows = await this.#db.sql.all(
        "SELECT id, repository_id FROM findings WHERE node_id = ? AND kind = 'unknown' AND open = 1", [node],
      );
      const there = new Set(stillThere);
      const gone = rows.filter((row) => !there.has(String(row['repository_id']))).map((row) => String(row['id']));
      if (gone.length === 0) return;
      await this.#db.sql.run(
        `UPDATE findings SET resolved_at = ?, open = NULL WHERE id IN (${placeholders(gone.length)})`, [new Date(), ...gone],
      );
    });
  }

  /** One page, the newest first. */
  async page(filter: FindingFilter): Promise<Finding[]> {
    const { open, repository, node } = filter;
    const rows = await attempt(() => newestFirst(this.#db.sql, FINDING, 'f.id', [
      open === undefined ? undefined : [open ? 'f.open = 1' : 'f.open IS NULL'],
      equal('f.repository_id', repository), equal('f.node_id', node),
    ], filter));
    return rows.map(toFinding);
  }

  /** How many are open, of each kind. */
  async countOpen(): Promise<Record<FindingKind, number>> {
    const rows = await attempt(() => this.#db.sql.all('SELECT kind, COUNT(*) AS count FROM findings WHERE open = 1 GROUP BY kind'));
    const counts = Object.fromEntries(FINDING_KINDS.map((kind) => [kind, 0])) as Record<FindingKind, number>;
    for (const row of rows) counts[row['kind'] as FindingKind] = Number(row['count']);
    return counts;
  }

  /** Removes findings that were resolved before then, `limit` at most. Returns how many. */
  async prune(resolvedBefore: Date, limit: number): Promise<number> {
    return attempt(() => removeBefore(this.#db.sql, 'findings', 'resolved_at', resolvedBefore, limit));
  }

  async #insert(statements: Statements, repository: string, node: string, kind: FindingKind, detail: string): Promise<boolean> {
    const [open] = await statements.all(
      'SELECT id FROM findings WHERE node_id = ? AND repository_id = ? AND kind = ? AND open = 1', [node, repository, kind],
    );
    if (open !== undefined) return false;
    await statements.run(
      `INSERT INTO findings (id, node_id, repository_id, kind, detail, found_at, open) VALUES (?, ?, ?, ?, ?, ?, 1)
       ${orKeep(statements.dialect, 'findings', ['node_id', 'repository_id', 'kind', 'open'])}`,
      [newId(), node, repository, kind, toReason(detail), new Date()],
    );
    return true;
  }
}

const FINDING = `SELECT f.id, f.node_id, f.repository_id, p.name, f.kind, f.detail, f.found_at, f.resolved_at
  FROM findings f LEFT JOIN repositories p ON p.id = f.repository_id`;

function toFinding(row: Row): Finding {
  return {
    id: String(row['id']),
    node: String(row['node_id']),
    repository: String(row['repository_id']),
    repositoryName: row['name'] as string | null,
    kind: row['kind'] as FindingKind,
    detail: String(row['detail']),
    foundAt: toDate(row['found_at']),
    resolvedAt: row['resolved_at'] === null ? null : toDate(row['resolved_at']),
  };
}
