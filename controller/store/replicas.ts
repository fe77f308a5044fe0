import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { openJobs, toReason } from './open-jobs.ts';
import { REPLICA_STATES, type ReplicaState } from './rows.ts';
import { placeholders } from './sql.ts';

/** A replica of one node beside what its repository should be. */
export interface NodeReplica {
  repository: string;
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
   * Records a state and why. For every state but `current` a repair job is open afterwards, in the same SQL
   * transaction. Replicas that aren't there are passed over.
   */
  async mark(repository: string, nodes: string[], state: ReplicaState, reason: string): Promise<void> {
    if (nodes.length === 0) return;
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      // `changed_at` before `state`: MySQL assigns from left to right, and sees what it has assigned.
      await statements.run(
        `UPDATE replicas SET changed_at = CASE WHEN state = ? THEN changed_at ELSE ? END, state = ?, reason = ?
         WHERE repository_id = ? AND node_id IN (${placeholders(nodes.length)})`,
        [state, new Date(), state, state === 'current' ? null : toReason(reason), repository, ...nodes],
      );
      if (state !== 'current') await openJobs(statements, repository, nodes, reason);
    }));
  }

  /**
   * Makes a repaired replica current, if what it holds still is what the repository is; then its repair job is gone.
   * The repository's row is locked while that is decided, so a decision is either seen here, and the replica stays
   * out, or comes after, and finds a current replica that missed it.
   * @returns false when the repository has moved on meanwhile, or the replica isn't there
   */
  async admit(input: { repository: string; node: string; generation: number; digest: string }): Promise<boolean> {
    const { repository, node, generation, digest } = input;
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const lock = statements.dialect === 'mysql' ? 'FOR UPDATE' : '';
      const [row] = await statements.all(
        `SELECT generation, refs_digest FROM repositories WHERE id = ? ${lock}`, [repository],
      );
      if (row === undefined || Number(row['generation']) !== generation || row['refs_digest'] !== digest) return false;
      const admitted = await statements.run(
        `UPDATE replicas SET changed_at = CASE WHEN state = 'current' THEN changed_at ELSE ? END,
           state = 'current', generation = ?, digest = ?, reason = NULL
         WHERE repository_id = ? AND node_id = ?`,
        [new Date(), generation, digest, repository, node],
      );
      if (admitted === 0) return false;
      await statements.run('DELETE FROM repair_jobs WHERE repository_id = ? AND node_id = ?', [repository, node]);
      return true;
    }));
  }

  /** All replicas of a node, each read together with its repository: never one from before a commit and one after. */
  async ofNode(node: string): Promise<NodeReplica[]> {
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT r.repository_id, r.state, r.generation, r.digest, p.generation AS repository_generation, p.refs_digest
       FROM replicas r JOIN repositories p ON p.id = r.repository_id WHERE r.node_id = ? ORDER BY r.repository_id`,
      [node],
    ));
    return rows.map((row) => ({
      repository: String(row['repository_id']),
      state: row['state'] as ReplicaState,
      generation: Number(row['generation']),
      digest: String(row['digest']),
      repositoryGeneration: Number(row['repository_generation']),
      repositoryDigest: String(row['refs_digest']),
    }));
  }

  /** How many replicas are in each state, over all repositories. */
  async countByState(): Promise<Record<ReplicaState, number>> {
    const groups = await attempt(() => this.#db.prisma.replica.groupBy({ by: ['state'], _count: true }));
    const counts = Object.fromEntries(REPLICA_STATES.map((state) => [state, 0])) as Record<ReplicaState, number>;
    for (const group of groups) counts[group.state as ReplicaState] = group._count;
    return counts;
  }
}
