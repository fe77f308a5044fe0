import { madeAtMs } from '@trivet/proto/id.ts';
import { EMPTY_REFS_DIGEST } from '@trivet/proto/refs-digest.ts';
import { quorumOf } from '../transaction/quorum.ts';
import type { Database } from './database.ts';
import { attempt, classify } from './failure.ts';
import { closeJobs, openJobs } from './open-jobs.ts';
import type { Decision, Outcome } from './rows.ts';
import { equal, newestFirst, placeholders, type Row, type Statements, rowLock, toDate } from './sql.ts';

export interface CommitDecision {
  repository: string;
  batch: string;
  /** All the transactions of the batch. They are committed together or not at all. */
  transactions: string[];
  /** What the repository must be at, or the decision is refused. */
  before: { generation: number; digest: string };
  after: { generation: number; digest: string; /** What HEAD points at, a full ref. */ head: string };
  /** Ids of the nodes that hold a durable promise for this batch. */
  promised: string[];
  /** What the world is told of afterwards. */
  events?: { kind: string; payload: object }[];
}

/** How a batch ended, and what its commit made of the repository. */
export type Settled = { outcome: 'commit'; after: { generation: number; digest: string } } | { outcome: 'abort' };

/**
 * The decisions: the only truth about a transaction. A transaction id enters the table once, with the outcome of
 * whoever came first, and is never changed; everything below rests on that unique key.
 */
export class Decisions {
  readonly #db: Database;
  readonly #controller: string;
  /** Where the next look for decisions to prune begins. */
  #prunedUntil = new Date(0);

  /** @param controller recorded as who decided */
  constructor(db: Database, controller: string) {
    this.#db = db;
    this.#controller = controller;
  }

  /**
   * Decides to commit a batch, in one SQL transaction with everything that follows from it: the repository's
   * generation, digest and HEAD; the promising replicas at that generation; the others outdated and their repair jobs
   * open; the events.
   *
   * `refused`, and nothing has changed, when
   * - the repository isn't at `before` any more, or is in the trash, or gone;
   * - one of the transactions has a decision already, such as the abort of a node that asked too long ago;
   * - it comes so late that its abort may have been forgotten (`prune`);
   * - fewer than a quorum of the configured replicas would be current afterwards, because something else took a
   *   promising replica's currency away since it promised. A `diverged` or `repairing` one isn't made current by a
   *   promise: its refs may be right, but its objects are doubted, or about to be swapped.
   *
   * Throws `store_unavailable` when the decision surely wasn't recorded, and `outcome_unknown` when it may have been.
   */
  async commit(decision: CommitDecision): Promise<'committed' | 'refused'> {
    return attempt(async () => {
      try {
        await this.#db.sql.transaction((statements) => this.#commit(statements, decision));
        return 'committed';
      } catch (error) {
        if (error instanceof Refused || classify(error) === 'duplicate') return 'refused';
        throw error;
      }
    }, 'outcome_unknown');
  }

  /**
   * Decides a batch whose coordinator hasn't been heard of: abort, unless it is committed already.
   * It answers `abort` only when this batch can never be committed: each of its transactions then has a durable
   * decision other than the commit of this batch, and a slow coordinator fails on their unique keys.
   * Throws `store_unavailable` when neither is known; asking again does no harm.
   */
  async settle(input: { repository: string; batch: string; transactions: string[] }): Promise<Settled> {
    const { repository, batch, transactions } = input;
    if (transactions.length === 0) throw new TypeError('a batch has at least one transaction');
    return attempt(async () => {
      // A duplicate means that another decision was recorded meanwhile, so each round leaves fewer to insert.
      for (let round = 0; round <= transactions.length; round++) {
        const decided = await this.#read(this.#db.sql, transactions);
        const committed = decided.find((row) => row['outcome'] === 'commit' && row['batch'] === batch);
        if (committed !== undefined) return { outcome: 'commit', after: positionOf(committed) };
        const ids = new Set(decided.map((row) => row['id']));
        const open = transactions.filter((id) => !ids.has(id));
        try {
          const aborted = { repository, batch, transactions: open };
          if (open.length > 0) await this.#insert(this.#db.sql, aborted, 'abort', null);
          return { outcome: 'abort' };
        } catch (error) {
          if (classify(error) !== 'duplicate') throw error;
        }
      }
      throw new Error('decisions appear and vanish');
    });
  }

  /**
   * What was decided about the transactions of one batch: `commit` when all of them are committed, `abort` when one
   * is aborted, undefined while there is no such decision. Decides nothing.
   */
  async outcome(transactions: string[]): Promise<Outcome | undefined> {
    if (transactions.length === 0) return undefined;
    const decided = await attempt(() => this.#read(this.#db.sql, transactions));
    if (decided.some((row) => row['outcome'] === 'abort')) return 'abort';
    return decided.length === transactions.length ? 'commit' : undefined;
  }

  /** Those of these transactions that have a decision already, and which. Decides nothing. */
  async decided(transactions: string[]): Promise<Map<string, Outcome>> {
    if (transactions.length === 0) return new Map();
    const rows = await attempt(() => this.#read(this.#db.sql, transactions));
    return new Map(rows.map((row) => [String(row['id']), row['outcome'] as Outcome]));
  }

  async get(id: string): Promise<Decision | undefined> {
    const [row] = await attempt(() => this.#db.sql.all(`${DECISION} WHERE t.id = ?`, [id]));
    return row && toDecision(row);
  }

  /** One page, the newest first. @param filter.after the last id of the page before */
  async page(filter: { repository?: string; outcome?: Outcome; after?: string; limit: number }): Promise<Decision[]> {
    const rows = await attempt(() => newestFirst(this.#db.sql, DECISION, 't.id', [
      equal('t.repository_id', filter.repository), equal('t.outcome', filter.outcome),
    ], filter));
    return rows.map(toDecision);
  }

  /**
   * Removes decisions that nobody can ask for any more, a bounded number with each call. Returns how many.
   *
   * Of a repository's decisions to commit the latest always stays, for as long as the repository: every node might still
   * be in doubt about it. The ones before are settled on a quorum, as a node promises a generation only when it holds the
   * one before; a node that asks for one of those nevertheless, after all that time, is told to abort, finds itself behind,
   * and is repaired.
   *
   * A decision to abort may go when no coordinator can commit the same batch any more, which `commit` sees to; whoever
   * asks for it later inserts it anew.
   */
  async prune(retentionMs: number, limit: number): Promise<number> {
    return attempt(async () => {
      const now = (await this.#db.now()).getTime();
      const aborted = await this.#db.sql.all(
        "SELECT id FROM transactions WHERE outcome = 'abort' AND decided_at < ? ORDER BY decided_at LIMIT ?", [new Date(now - ABORTED_MS), limit],
      );
      const committed = await this.#db.sql.all(
        `SELECT t.id, t.decided_at, CASE WHEN t.generation >= p.generation THEN 1 ELSE 0 END AS latest
         FROM transactions t LEFT JOIN repositories p ON p.id = t.repository_id
         WHERE t.outcome = 'commit' AND t.decided_at < ? AND t.decided_at >= ? ORDER BY t.decided_at LIMIT ?`,
        [new Date(now - retentionMs), this.#prunedUntil, limit],
      );
      // What stays isn't looked at again until all others were.
      const last = committed.length < limit ? new Date(0) : toDate(committed.at(-1)!['decided_at']);
      this.#prunedUntil = last.getTime() === this.#prunedUntil.getTime() ? new Date(last.getTime() + 1) : last;
      const ids = [...aborted, ...committed.filter((row) => Number(row['latest']) === 0)].map((row) => String(row['id']));
      return ids.length === 0 ? 0 : this.#db.sql.run(`DELETE FROM transactions WHERE id IN (${placeholders(ids.length)})`, ids);
    });
  }

  async #commit(statements: Statements, decision: CommitDecision): Promise<void> {
    const { repository, before, after } = decision;
    const latest = new Date(madeAtMs(decision.batch) + LATEST_MS);
    // With SQLite the controller's own clock is the only one, and asking it takes no time.
    if (statements.dialect === 'sqlite' && await this.#db.now() >= latest) throw new Refused();
    const inTime = statements.dialect === 'mysql' ? 'UTC_TIMESTAMP(3) < ?' : '? IS NOT NULL';
    // First of all, because it locks the repository's row: from here decisions on one repository go one by one.
    const moved = await statements.run(
      `UPDATE repositories SET generation = ?, refs_digest = ?, default_branch = ?
       WHERE id = ? AND generation = ? AND refs_digest = ? AND state <> 'trashed' AND ${inTime}`,
      [after.generation, after.digest, after.head, repository, before.generation, before.digest, latest],
    );
    if (moved === 0 || after.generation <= before.generation) throw new Refused();
    await this.#insert(statements, decision, 'commit', after);
    await moveReplicas(statements, decision);
    await insertEvents(statements, decision);
  }

  async #insert(
    statements: Statements,
    of: { repository: string; batch: string; transactions: string[] },
    outcome: Outcome,
    after: { generation: number; digest: string } | null,
  ): Promise<void> {
    const now = new Date();
    // Sorted: two that insert the same ids in different orders would wait for each other.
    const rows = [...of.transactions].sort().map((id) => (
      [id, of.batch, of.repository, outcome, after?.generation ?? null, after?.digest ?? null, this.#controller, now]));
    await statements.run(
      `INSERT INTO transactions (id, batch, repository_id, outcome, generation, digest, decided_by, decided_at)
       VALUES ${rows.map((row) => `(${placeholders(row.length)})`).join(', ')}`,
      rows.flat(),
    );
  }

  #read(statements: Statements, transactions: readonly string[]): Promise<Row[]> {
    return statements.all(
      `SELECT id, batch, outcome, generation, digest FROM transactions WHERE id IN (${placeholders(transactions.length)})`,
      transactions,
    );
  }
}

/** How long decisions to abort are kept. */
const ABORTED_MS = 7 * 86_400_000;
/** A batch is decided so long after its making at the latest: well before its abort could be forgotten, whatever the clocks say. */
const LATEST_MS = ABORTED_MS / 2;

const DECISION = `SELECT t.id, t.batch, t.repository_id, p.name, t.outcome, t.generation, t.decided_by, t.decided_at
  FROM transactions t LEFT JOIN repositories p ON p.id = t.repository_id`;

function toDecision(row: Row): Decision {
  return {
    id: String(row['id']),
    batch: String(row['batch']),
    repository: String(row['repository_id']),
    repositoryName: row['name'] as string | null,
    outcome: row['outcome'] as Outcome,
    generation: row['generation'] === null ? null : Number(row['generation']),
    decidedBy: String(row['decided_by']),
    decidedAt: toDate(row['decided_at']),
  };
}

/** Decisions from before digests were recorded equal no promise: a node then drops its own, and is repaired. */
function positionOf(row: Row): { generation: number; digest: string } {
  return { generation: Number(row['generation']), digest: row['digest'] === null ? EMPTY_REFS_DIGEST : String(row['digest']) };
}

/** Rolls the SQL transaction back. */
class Refused extends Error {}

async function moveReplicas(statements: Statements, { repository, after, promised }: CommitDecision): Promise<void> {
  const replicas = await statements.all(
    `SELECT r.node_id, r.state, p.replication_factor
     FROM replicas r JOIN repositories p ON p.id = r.repository_id WHERE r.repository_id = ? ${rowLock(statements)}`,
    [repository],
  );
  const keeping = replicas.filter((row) => promised.includes(String(row['node_id']))
    && (row['state'] === 'current' || row['state'] === 'outdated'));
  const quorum = quorumOf(Number(replicas[0]?.['replication_factor']));
  if (!(keeping.length >= quorum)) throw new Refused();
  const nodes = keeping.map((row) => String(row['node_id']));
  const now = new Date();
  // `changed_at` before `state`: MySQL assigns from left to right, and sees what it has assigned.
  await statements.run(
    `UPDATE replicas SET changed_at = CASE WHEN state = 'current' THEN changed_at ELSE ? END,
       state = 'current', generation = ?, digest = ?, reason = NULL
     WHERE repository_id = ? AND node_id IN (${placeholders(nodes.length)})`,
    [now, after.generation, after.digest, repository, ...nodes],
  );
  // It has what a repair would bring. Whoever is at that repair must not bring it anything older any more.
  await closeJobs(statements, repository, keeping.filter((row) => row['state'] === 'outdated').map((row) => String(row['node_id'])));
  const missed = replicas.map((row) => ({ node: String(row['node_id']), state: row['state'] }))
    .filter((replica) => replica.state === 'current' && !nodes.includes(replica.node))
    .map((replica) => replica.node);
  if (missed.length === 0) return;
  await statements.run(
    `UPDATE replicas SET state = 'outdated', reason = ?, changed_at = ?
     WHERE repository_id = ? AND node_id IN (${placeholders(missed.length)})`,
    [MISSED, now, repository, ...missed],
  );
  await openJobs(statements, repository, missed, 'outdated', MISSED);
}

const MISSED = 'missed a commit';

async function insertEvents(statements: Statements, { repository, events = [] }: CommitDecision): Promise<void> {
  if (events.length === 0) return;
  const now = new Date();
  await statements.run(
    `INSERT INTO events (repository_id, kind, payload, created_at)
     VALUES ${events.map(() => '(?, ?, ?, ?)').join(', ')}`,
    events.flatMap((event) => [repository, event.kind, JSON.stringify(event.payload), now]),
  );
}
