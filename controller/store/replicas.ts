import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { isHeld } from './jobs.ts';
import { openJobs, toReason } from './open-jobs.ts';
import { resolveFindings } from './resolve-findings.ts';
import { REPLICA_STATES, type LostState, type RepairJob, type ReplicaState } from './rows.ts';
import { placeholders, type Statements, rowLock } from './sql.ts';

/** A replica of one node beside what its repository should be. */
export interface NodeReplica {
  repository: string;
  repositoryName: string;
  state: ReplicaState;
  generation: number;
  digest: string;
  repositoryGeneration: number;
  repositoryDigest: string;
}

/**
 * What is recorded about each repository's copies. A replica gets current by being there when the repository is made,
 * by promising a batch that is committed (decisions.ts), or by `admit`; it stops being current by a commit that it
 * missed (decisions.ts) or by `mark`.
 */
export class Replicas {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Records that replicas aren't current, and why; each has an open repair job afterwards, in the same SQL transaction.
   * Replicas that aren't there are passed over, and so are those of which something worse is known.
   * @param upTo replicas at a later generation are passed over too: what is said of them is old by now
   */
  async mark(repository: string, nodes: string[], state: LostState, reason: string, upTo?: number): Promise<void> {
    if (nodes.length === 0) return;
    await attempt(() => this.#db.sql.transaction((statements) => markReplicas(statements, repository, nodes, state, reason, upTo)));
  }

  /**
   * Makes a repaired replica current, if what it holds still is what the repository is, nothing worse was found of it
   * since the repair began, and the claim still is `job`'s; then the job is done, and what verification had found is resolved.
   * The repository's row is locked while that is decided, so a decision is either seen here, and the replica stays
   * out, or comes after, and finds a current replica that missed it.
   * @param position.checked whether all its objects were checked on the way
   * @returns false when the repository has moved on meanwhile, the claim is lost, or the replica isn't there
   */
  async admit(job: RepairJob, position: { generation: number; digest: string; checked: boolean }): Promise<boolean> {
    const { repository, node } = job;
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const [row] = await statements.all(
        `SELECT generation, refs_digest FROM repositories WHERE id = ? ${rowLock(statements)}`, [repository],
      );
      if (row === undefined || Number(row['generation']) !== position.generation || row['refs_digest'] !== position.digest) return false;
      const now = new Date();
      const admitted = await statements.run(
        `UPDATE replicas SET changed_at = CASE WHEN state = 'current' THEN changed_at ELSE ? END,
           state = 'current', generation = ?, digest = ?, reason = NULL, verified_at = ?,
           checked_at = CASE WHEN ? = 1 THEN ? ELSE checked_at END
         WHERE repository_id = ? AND node_id = ? AND state = 'repairing'`,
        [now, position.generation, position.digest, now, position.checked ? 1 : 0, now, repository, node],
      );
      if (admitted === 0) return false;
      if (!await isHeld(statements, job)) throw new ClaimLost();
      await statements.run(
        `UPDATE repair_jobs SET state = 'done', open = NULL, holder = NULL, lease_until = NULL, last_error = NULL,
           finished_at = ? WHERE id = ?`,
        [now, job.id],
      );
      await resolveFindings(statements, repository, now, { node });
      return true;
    }).catch((error: unknown) => {
      if (error instanceof ClaimLost) return false;
      throw error;
    }));
  }

  /** All replicas of a node, each read together with its repository: never one from before a commit and one after. */
  async ofNode(node: string): Promise<NodeReplica[]> {
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT r.repository_id, p.name, r.state, r.generation, r.digest, p.generation AS repository_generation, p.refs_digest
       FROM replicas r JOIN repositories p ON p.id = r.repository_id WHERE r.node_id = ? ORDER BY r.repository_id`,
      [node],
    ));
    return rows.map((row) => ({
      repository: String(row['repository_id']),
      repositoryName: String(row['name']),
      state: row['state'] as ReplicaState,
      generation: Number(row['generation']),
      digest: String(row['digest']),
      repositoryGeneration: Number(row['repository_generation']),
      repositoryDigest: String(row['refs_digest']),
    }));
  }

  /** How many there are. Reads an index from end to end. */
  async count(): Promise<number> {
    const [row] = await attempt(() => this.#db.sql.all('SELECT COUNT(*) AS count FROM replicas'));
    return Number(row?.['count']);
  }

  /** How many replicas are in each state, over all repositories. Looks at those only that aren't current. @param total as `count` gave it */
  async countByState(total?: number): Promise<Record<ReplicaState, number>> {
    // Two ranges of the index beside `current`, which would be the whole table.
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT state, COUNT(*) AS count FROM replicas WHERE state < 'current' GROUP BY state
       UNION ALL SELECT state, COUNT(*) AS count FROM replicas WHERE state > 'current' GROUP BY state`,
    ));
    const counts = Object.fromEntries(REPLICA_STATES.map((state) => [state, 0])) as Record<ReplicaState, number>;
    for (const row of rows) counts[row['state'] as ReplicaState] = Number(row['count']);
    const others = rows.reduce((sum, row) => sum + Number(row['count']), 0);
    counts.current = Math.max(0, (total ?? await this.count()) - others);
    return counts;
  }
}

/** Rolls an admission back: somebody else has the job. */
class ClaimLost extends Error {}

/** What a mark doesn't cover up: from behind to damaged, each is worse than the ones before. */
const WORSE: Record<LostState, readonly ReplicaState[]> = {
  outdated: ['diverged', 'missing', 'corrupt', 'repairing'], diverged: ['missing', 'corrupt'], missing: ['corrupt'], corrupt: [],
};

/** As `Replicas.mark`, inside a SQL transaction. */
export async function markReplicas(
  statements: Statements, repository: string, nodes: readonly string[], state: LostState, reason: string, upTo?: number,
): Promise<void> {
  const worse = WORSE[state];
  const conditions = [
    ...(worse.length === 0 ? [] : [`state NOT IN (${placeholders(worse.length)})`]), ...(upTo === undefined ? [] : ['generation <= ?']),
  ];
  const values = [...worse, ...(upTo === undefined ? [] : [upTo])];
  const which = `repository_id = ? AND node_id IN (${placeholders(nodes.length)})${conditions.map((condition) => ` AND ${condition}`).join('')}`;
  const rows = await statements.all(`SELECT node_id FROM replicas WHERE ${which}`, [repository, ...nodes, ...values]);
  if (rows.length === 0) return;
  // `changed_at` before `state`: MySQL assigns from left to right, and sees what it has assigned.
  await statements.run(
    `UPDATE replicas SET changed_at = CASE WHEN state = ? THEN changed_at ELSE ? END, state = ?, reason = ? WHERE ${which}`,
    [state, new Date(), state, toReason(reason), repository, ...nodes, ...values],
  );
  await openJobs(statements, repository, rows.map((row) => String(row['node_id'])), state, reason);
}
