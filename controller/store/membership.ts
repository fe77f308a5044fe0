import { EMPTY_REFS_DIGEST } from '@trivet/proto/refs-digest.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { openJobs, toReason } from './open-jobs.ts';
import { resolveFindings } from './resolve-findings.ts';
import { orKeep, placeholders, type Row, type Statements, rowLock, toDate } from './sql.ts';

/** Where the replicas of a repository are, as placement looks at it. */
export interface Members {
  repository: string;
  factor: number;
  intended: number;
  /** Whether the factor is being changed. */
  changing: boolean;
  replicas: { node: string; current: boolean; verified: boolean }[];
  /** Nodes on which a copy of it is to be deleted. */
  removing: string[];
}

/**
 * Which nodes hold a repository's replicas. Every change is one SQL transaction that locks the repository's row, as every
 * decision does: so a decision finds the old members or the new ones, and never counts a replica that has gone.
 */
export class Membership {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Of those of these repositories that are there and not in the trash. */
  async of(repositories: readonly string[]): Promise<Members[]> {
    if (repositories.length === 0) return [];
    return attempt(async () => {
      const ids = placeholders(repositories.length);
      const rows = await this.#db.sql.all(
        `SELECT p.id, p.replication_factor, p.intended_factor, COALESCE(p.intended_factor, p.replication_factor) AS intended, r.node_id,
           CASE WHEN r.state = 'current' AND r.generation = p.generation AND r.digest = p.refs_digest THEN 1 ELSE 0 END AS is_current,
           CASE WHEN ${VERIFIED} THEN 1 ELSE 0 END AS is_verified
         FROM repositories p LEFT JOIN replicas r ON r.repository_id = p.id
         WHERE p.id IN (${ids}) AND p.state <> 'trashed' ORDER BY p.id, r.node_id`,
        repositories,
      );
      const removing = await this.#db.sql.all(`SELECT repository_id, node_id FROM removals WHERE repository_id IN (${ids})`, repositories);
      return toMembers(rows, removing);
    });
  }

  /**
   * Repositories of which something isn't as intended, in the order of their ids: the wrong number of replicas, one on a node
   * that is `leaving`, or replicas in fewer zones than there could be.
   * @param page.after the last id of the page before
   * @param page.scan how many repositories are looked at, of which most fit
   * @param page.zones in how many zones there are nodes
   */
  async misplaced(page: { after: string; scan: number; leaving: readonly string[]; zones: number }): Promise<{ found: string[]; last: string | undefined }> {
    return attempt(async () => {
      const [end] = await this.#db.sql.all(
        'SELECT MAX(id) AS last FROM (SELECT id FROM repositories WHERE id > ? ORDER BY id LIMIT ?) AS page', [page.after, page.scan],
      );
      const last = end?.['last'] ?? null;
      if (last === null) return { found: [], last: undefined };
      const leaving = page.leaving.length === 0 ? "('')" : `(${placeholders(page.leaving.length)})`;
      const rows = await this.#db.sql.all(
        `SELECT p.id FROM repositories p JOIN replicas r ON r.repository_id = p.id JOIN nodes n ON n.id = r.node_id
         WHERE p.id > ? AND p.id <= ? AND p.state <> 'trashed'
         GROUP BY p.id, p.replication_factor, p.intended_factor
         HAVING p.intended_factor IS NOT NULL OR COUNT(*) <> p.replication_factor
           OR SUM(CASE WHEN r.node_id IN ${leaving} THEN 1 ELSE 0 END) > 0
           OR (COUNT(DISTINCT n.zone) < COUNT(*) AND COUNT(DISTINCT n.zone) < ?)
         ORDER BY p.id`,
        [page.after, String(last), ...page.leaving, page.zones],
      );
      return { found: rows.map((row) => String(row['id'])), last: String(last) };
    });
  }

  /** Repositories with a replica on one of these nodes, in the order of their ids. */
  async onNodes(nodes: readonly string[], page: { after: string; limit: number }): Promise<string[]> {
    if (nodes.length === 0) return [];
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT DISTINCT repository_id FROM replicas WHERE node_id IN (${placeholders(nodes.length)}) AND repository_id > ?
       ORDER BY repository_id LIMIT ?`,
      [...nodes, page.after, page.limit],
    ));
    return rows.map((row) => String(row['repository_id']));
  }

  /** Repositories with a current replica on one node and none on another, in the order of their ids. */
  async movable(from: string, to: string, page: { after: string; limit: number }): Promise<string[]> {
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT r.repository_id FROM replicas r WHERE r.node_id = ? AND r.repository_id > ? AND r.state = 'current'
         AND NOT EXISTS (SELECT 1 FROM replicas o WHERE o.repository_id = r.repository_id AND o.node_id = ?)
       ORDER BY r.repository_id LIMIT ?`,
      [from, page.after, to, page.limit],
    ));
    return rows.map((row) => String(row['repository_id']));
  }

  /** Open jobs that fill new replicas, for each node that has some. */
  async moves(): Promise<Map<string, number>> {
    const rows = await attempt(() => this.#db.sql.all(
      `SELECT node_id, COUNT(*) AS count FROM repair_jobs WHERE open = 1 AND reason IN ('new_replica', 'move') GROUP BY node_id`,
    ));
    return new Map(rows.map((row) => [String(row['node_id']), Number(row['count'])]));
  }

  /**
   * Gives a repository one more replica, `missing` as yet, and the job that fills it. False, and nothing has changed, when
   * the node isn't active, has a replica already or a copy that is still to be deleted, or the repository is gone.
   */
  async add(input: { repository: string; node: string; reason: 'new_replica' | 'move'; detail: string }): Promise<boolean> {
    const { repository, node, reason, detail } = input;
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      if (await lockRepository(statements, repository) === undefined) return false;
      const added = await statements.run(
        `INSERT INTO replicas (repository_id, node_id, state, generation, digest, reason, changed_at)
         SELECT ?, n.id, 'missing', 0, ?, ?, ? FROM nodes n
         WHERE n.id = ? AND n.state = 'active'
           AND NOT EXISTS (SELECT 1 FROM replicas r WHERE r.repository_id = ? AND r.node_id = ?)
           AND NOT EXISTS (SELECT 1 FROM removals d WHERE d.repository_id = ? AND d.node_id = ?)`,
        [repository, EMPTY_REFS_DIGEST, toReason(detail), new Date(), node, repository, node, repository, node],
      );
      if (added === 0) return false;
      await openJobs(statements, repository, [node], reason, detail);
      return true;
    }));
  }

  /**
   * Brings the factor that quorums are counted by nearer to what it shall become: up, as far as there are current replicas,
   * so that the newest generation is on a quorum of the new one too. Forgets the intention when all is as intended.
   * @returns whether something has changed
   */
  async settleFactor(repository: string): Promise<boolean> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const row = await lockRepository(statements, repository);
      if (row === undefined || row['intended_factor'] === null) return false;
      const [factor, intended] = [Number(row['replication_factor']), Number(row['intended_factor'])];
      const replicas = await lockReplicas(statements, repository);
      const current = replicas.filter((replica) => isCurrent(replica, row)).length;
      const next = Math.max(factor, Math.min(intended, current));
      const settled = next === intended && replicas.length === intended;
      if (next === factor && !settled) return false;
      await statements.run(
        'UPDATE repositories SET replication_factor = ?, intended_factor = ? WHERE id = ?', [next, settled ? null : intended, repository],
      );
      return true;
    }));
  }

  /**
   * Takes a replica away, with its jobs and findings, and has its copy deleted: only when as many others as the repository
   * shall have are current at its generation, on active nodes that were heard of lately, and were compared with SQL after they
   * became current. So what goes is never the only newest copy, nor one of the last that are known to be sound.
   * @param input.heardWithinMs what counts as lately
   * @param input.dead the node is gone for good and its disk with it: one other newest copy, on a node that is there, will do
   * @returns false, and nothing has changed, when that isn't so
   */
  async takeAway(input: { repository: string; node: string; reason: 'moved' | 'surplus'; heardWithinMs: number; dead?: boolean }): Promise<boolean> {
    const { repository, node } = input;
    return attempt(async () => {
      const since = (await this.#db.now()).getTime() - input.heardWithinMs;
      return this.#db.sql.transaction(async (statements) => {
        const row = await lockRepository(statements, repository);
        if (row === undefined) return false;
        const replicas = await lockReplicas(statements, repository);
        if (!replicas.some((replica) => replica['node_id'] === node)) return false;
        const heard = await heardOf(statements, replicas.map((replica) => String(replica['node_id'])), since);
        const others = replicas.filter((replica) => replica['node_id'] !== node && isCurrent(replica, row)
          && (input.dead === true ? heard.any : heard.active).has(String(replica['node_id']))
          && (input.dead === true || Number(replica['is_verified']) === 1));
        const needed = input.dead === true ? 1 : Math.max(Number(row['replication_factor']), Number(row['intended_factor'] ?? 0));
        if (others.length < needed) return false;
        const now = new Date();
        // Its jobs go with it, by their foreign key.
        await statements.run('DELETE FROM replicas WHERE repository_id = ? AND node_id = ?', [repository, node]);
        await resolveFindings(statements, repository, now, { node });
        await statements.run(
          `INSERT INTO removals (repository_id, node_id, reason, created_at) VALUES (?, ?, ?, ?)
           ${orKeep(statements.dialect, 'removals', ['repository_id', 'node_id'])}`,
          [repository, node, input.reason, now],
        );
        return true;
      });
    });
  }
}

/** Its refs were compared with SQL after it had become current: an admission alone, which sets both, doesn't count. */
const VERIFIED = 'r.verified_at IS NOT NULL AND r.verified_at > r.changed_at';

/** Undefined when it is gone, or in the trash. */
async function lockRepository(statements: Statements, repository: string): Promise<Row | undefined> {
  const [row] = await statements.all(
    `SELECT generation, refs_digest, replication_factor, intended_factor FROM repositories WHERE id = ? AND state <> 'trashed' ${rowLock(statements)}`, [repository],
  );
  return row;
}

async function lockReplicas(statements: Statements, repository: string): Promise<Row[]> {
  return statements.all(
    `SELECT r.node_id, r.state, r.generation, r.digest, CASE WHEN ${VERIFIED} THEN 1 ELSE 0 END AS is_verified
     FROM replicas r WHERE r.repository_id = ? ${rowLock(statements)}`,
    [repository],
  );
}

function isCurrent(replica: Row, repository: Row): boolean {
  return replica['state'] === 'current' && Number(replica['generation']) === Number(repository['generation'])
    && replica['digest'] === repository['refs_digest'];
}

/** Those of these nodes that any controller has heard of since then, and those of them that are active. */
async function heardOf(statements: Statements, nodes: readonly string[], sinceMs: number): Promise<{ any: Set<string>; active: Set<string> }> {
  const rows = await statements.all(
    `SELECT id, state, heard_at FROM nodes WHERE state <> 'removed' AND heard_at IS NOT NULL AND id IN (${placeholders(nodes.length)})`, nodes,
  );
  const heard = rows.filter((row) => toDate(row['heard_at']).getTime() >= sinceMs);
  const ids = (which: readonly Row[]) => new Set(which.map((row) => String(row['id'])));
  return { any: ids(heard), active: ids(heard.filter((row) => row['state'] === 'active')) };
}

function toMembers(rows: readonly Row[], removing: readonly Row[]): Members[] {
  const members = new Map<string, Members>();
  for (const row of rows) {
    const repository = String(row['id']);
    let entry = members.get(repository);
    if (entry === undefined) {
      entry = {
        repository, factor: Number(row['replication_factor']), intended: Number(row['intended']), changing: row['intended_factor'] !== null, replicas: [],
        removing: removing.filter((removal) => removal['repository_id'] === repository).map((removal) => String(removal['node_id'])),
      };
      members.set(repository, entry);
    }
    if (row['node_id'] !== null) {
      entry.replicas.push({ node: String(row['node_id']), current: Number(row['is_current']) === 1, verified: Number(row['is_verified']) === 1 });
    }
  }
  return [...members.values()];
}
