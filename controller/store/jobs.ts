import PQueue from 'p-queue';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { openJobs, stateOf, toReason } from './open-jobs.ts';
import type { JobReason, JobState, JobWay, RepairJob } from './rows.ts';
import { equal, newestFirst, placeholders, removeBefore, type Argument, type Row, type Statements, rowLock, toDate } from './sql.ts';

/** Jobs opened at once. */
const AT_ONCE = 8;
/** What fits in the column `last_error`. */
const ERROR_LENGTH = 4_000;

/** What a holder tells of its work; what isn't given stays. */
export interface JobProgress {
  source?: string;
  way?: JobWay;
  round?: number;
  objects?: number;
  totalObjects?: number | null;
  bytes?: number;
  totalBytes?: number | null;
}

export interface JobFilter {
  /** `open`: waiting or running. */
  state?: JobState | 'open';
  /** Ids. */
  repository?: string;
  node?: string;
  /** The last id of the page before. */
  after?: string;
  limit: number;
}

/**
 * Repair jobs, at most one open for each replica.
 *
 * `waiting`: nobody works on it; due from `next_attempt_at`. Left by `claim` and `cancel`.
 * `running`: `holder` works on it until `lease_until`. Left by an admission (replicas.ts: done), by `fail` (waiting
 * again, for later), by `cancel`; after the lease also by another `claim`, as the holder may be dead.
 * `done`, `cancelled`: finished, kept until `prune`.
 *
 * Every claim raises the fence, and every statement of a holder names the fence it was given: a holder that was slow
 * rather than dead changes nothing any more. So does whatever else takes a job out of its holder's hands.
 */
export class RepairJobs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Opens a job for a replica, unless one is open for the same or worse. The replica's state stays as it is. */
  async ensure(repository: string, node: string, reason: JobReason, detail: string): Promise<void> {
    await attempt(() => this.#db.sql.transaction((statements) => openJobs(statements, repository, [node], reason, detail)));
  }

  /**
   * Opens a job for each replica that isn't current and has none: one whose job was finished just as it fell behind again.
   * A replica whose job was cancelled stays without one until its state changes or somebody asks for one.
   * @param limit replicas at most
   */
  async ensureAll(limit: number): Promise<void> {
    await attempt(async () => {
      const rows = await this.#db.sql.all(
        `SELECT r.repository_id, r.node_id, r.state, r.reason FROM replicas r
         LEFT JOIN repair_jobs j ON j.repository_id = r.repository_id AND j.node_id = r.node_id AND j.open = 1
         WHERE r.state <> 'current' AND j.id IS NULL AND NOT EXISTS (
           SELECT 1 FROM repair_jobs c WHERE c.repository_id = r.repository_id AND c.node_id = r.node_id
             AND c.state = 'cancelled' AND c.finished_at >= r.changed_at)
         LIMIT ?`,
        [limit],
      );
      // A few at a time, each by itself: the database syncs them together, and none holds a lock while it waits for another's.
      const open = new PQueue({ concurrency: AT_ONCE });
      await open.addAll(rows.map((row) => async () => {
        const reason = row['state'] === 'repairing' ? 'outdated' : row['state'] as JobReason;
        await openJobs(this.#db.sql, String(row['repository_id']), [String(row['node_id'])], reason, String(row['reason'] ?? 'not current'));
      }));
    });
  }

  /**
   * Takes jobs that are due, the longest due first. Two that claim at once never get the same job.
   * @param input.holder who claims, unique among all controllers
   * @param input.nodes only jobs for replicas on these
   * @param input.limit how many at most
   */
  async claim(input: { holder: string; leaseMs: number; nodes: readonly string[]; limit: number }): Promise<RepairJob[]> {
    if (input.nodes.length === 0 || input.limit <= 0) return [];
    return attempt(async () => {
      const now = await this.#db.now();
      const far = new Date(now.getTime() + FARTHEST_MS);
      // A new job is due whatever its maker's clock said. Each query walks the index of open jobs in the order of dueness.
      const due = await this.#db.sql.all(
        `${JOB} WHERE j.open = 1 AND j.node_id IN (${placeholders(input.nodes.length)}) AND ${DUE}
         ORDER BY j.next_attempt_at, j.id LIMIT ?`,
        [...input.nodes, now, far, now, far, input.limit],
      );
      const claimed: RepairJob[] = [];
      for (const job of due.map(toJob)) {
        const leaseUntil = new Date(now.getTime() + input.leaseMs);
        // Only as it was read: whoever claimed, renewed or failed it meanwhile keeps what they did.
        const count = await this.#db.sql.run(
          `UPDATE repair_jobs SET state = 'running', attempt = attempt + 1, fence = fence + 1, holder = ?, lease_until = ?,
             started_at = COALESCE(started_at, ?)
           WHERE id = ? AND fence = ? AND state = ? AND ${DUE_ITSELF}`,
          [input.holder, leaseUntil, now, job.id, job.fence, job.state, now, far, now, far],
        );
        if (count === 1) {
          claimed.push({
            ...job, state: 'running', attempt: job.attempt + 1, fence: job.fence + 1, holder: input.holder, leaseUntil,
            startedAt: job.startedAt ?? now,
          });
        }
      }
      return claimed;
    });
  }

  /**
   * Says that work on a claimed job begins: the replica is `repairing` from now on, which keeps every decision from
   * making it current under the repair's hands. `current`: it is current already, and the job is done. `lost`: the
   * claim isn't `job`'s any more, and nothing has changed.
   */
  async begin(job: RepairJob): Promise<'begun' | 'current' | 'lost'> {
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const [replica] = await statements.all(
        `SELECT state FROM replicas WHERE repository_id = ? AND node_id = ? ${rowLock(statements)}`, [job.repository, job.node],
      );
      if (replica === undefined || !await isHeld(statements, job)) return 'lost';
      if (replica['state'] === 'current') {
        await this.#end(statements, job, 'done');
        return 'current';
      }
      await statements.run(
        "UPDATE replicas SET state = 'repairing' WHERE repository_id = ? AND node_id = ?", [job.repository, job.node],
      );
      return 'begun';
    }));
  }

  /**
   * Writes down how far a holder is, and extends its lease to `leaseMs` from now. False when the claim isn't `job`'s any
   * more: then stop working on it.
   */
  async report(job: RepairJob, progress: JobProgress, leaseMs: number): Promise<boolean> {
    return attempt(async () => {
      const leaseUntil = new Date((await this.#db.now()).getTime() + leaseMs);
      const set = COLUMNS.filter(([key]) => progress[key] !== undefined);
      const count = await this.#db.sql.run(
        `UPDATE repair_jobs SET lease_until = ?${set.map(([, column]) => `, ${column} = ?`).join('')} WHERE ${HELD}`,
        [leaseUntil, ...set.map(([key]) => progress[key] as Argument), ...heldBy(job)],
      );
      return count === 1;
    });
  }

  /**
   * Gives a job back after a failure, and its replica the state that goes with the reason. False, and nothing has
   * changed, when the claim isn't `job`'s any more.
   * @param counts whether it counts as an attempt
   */
  async fail(job: RepairJob, error: string, retryAfterMs: number, counts = true): Promise<boolean> {
    return attempt(async () => {
      const now = await this.#db.now();
      return this.#db.sql.transaction(async (statements) => {
        await leaveRepairing(statements, job);
        const count = await statements.run(
          `UPDATE repair_jobs SET state = 'waiting', holder = NULL, lease_until = NULL, last_error = ?, next_attempt_at = ?,
             attempt = ?
           WHERE ${HELD}`,
          // Never 0 again, which would make it due at once.
          [error.slice(0, ERROR_LENGTH), new Date(now.getTime() + retryAfterMs), counts ? job.attempt : Math.max(1, job.attempt - 1), ...heldBy(job)],
        );
        if (count === 0) throw new Lost();
        return true;
      }).catch(asFalse);
    });
  }

  /** Makes waiting jobs due now: something they may have waited for has come back. */
  async wake(which: { repository: string } | { node: string }): Promise<void> {
    const [column, value] = 'repository' in which ? ['repository_id', which.repository] : ['node_id', which.node];
    await attempt(async () => {
      await this.#db.sql.run(
        `UPDATE repair_jobs SET next_attempt_at = ? WHERE ${column} = ? AND open = 1 AND state = 'waiting'`,
        [await this.#db.now(), value],
      );
    });
  }

  /** Ends an open job without a repair; who works on it has lost its claim. Throws job_not_found, job_finished */
  async cancel(id: string): Promise<RepairJob> {
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      const job = await this.#open(statements, id);
      await leaveRepairing(statements, job);
      await this.#end(statements, job, 'cancelled');
    }));
    return await this.get(id) ?? missing(id);
  }

  /** Makes an open job due now, as if it were new; one that runs goes on. Throws job_not_found, job_finished */
  async retry(id: string): Promise<RepairJob> {
    await attempt(() => this.#db.sql.transaction(async (statements) => {
      await this.#open(statements, id);
      await statements.run("UPDATE repair_jobs SET attempt = 0 WHERE id = ? AND state = 'waiting'", [id]);
    }));
    return await this.get(id) ?? missing(id);
  }

  async get(id: string): Promise<RepairJob | undefined> {
    const [row] = await attempt(() => this.#db.sql.all(`${JOB} WHERE j.id = ?`, [id]));
    return row && toJob(row);
  }

  /** One page, the newest first. */
  async page(filter: JobFilter): Promise<RepairJob[]> {
    const { state, repository, node } = filter;
    const rows = await attempt(() => newestFirst(this.#db.sql, JOB, 'j.id', [
      state === 'open' ? equal('j.open', 1) : equal('j.state', state),
      equal('j.repository_id', repository), equal('j.node_id', node),
    ], filter));
    return rows.map(toJob);
  }

  /** The open jobs of some repositories. */
  async openOf(repositories: readonly string[]): Promise<RepairJob[]> {
    if (repositories.length === 0) return [];
    const rows = await attempt(() => this.#db.sql.all(
      `${JOB} WHERE j.open = 1 AND j.repository_id IN (${placeholders(repositories.length)}) ORDER BY j.id`, repositories,
    ));
    return rows.map(toJob);
  }

  /** How many jobs are open, by state and reason. */
  async countOpen(): Promise<{ state: JobState; reason: JobReason; count: number }[]> {
    const rows = await attempt(() => this.#db.sql.all(
      'SELECT state, reason, COUNT(*) AS count FROM repair_jobs WHERE open = 1 GROUP BY state, reason',
    ));
    return rows.map((row) => ({ state: row['state'] as JobState, reason: row['reason'] as JobReason, count: Number(row['count']) }));
  }

  /** Removes jobs that were finished before then, `limit` at most. Returns how many. */
  async prune(finishedBefore: Date, limit: number): Promise<number> {
    return attempt(() => removeBefore(this.#db.sql, 'repair_jobs', 'finished_at', finishedBefore, limit));
  }

  async #open(statements: Statements, id: string): Promise<RepairJob> {
    // Locked by itself: in the other order, a decision locks the repository's row before the job's.
    await statements.all(`SELECT id FROM repair_jobs WHERE id = ? ${rowLock(statements)}`, [id]);
    const [row] = await statements.all(`${JOB} WHERE j.id = ?`, [id]);
    if (row === undefined) return missing(id);
    const job = toJob(row);
    if (job.state === 'done' || job.state === 'cancelled') throw new TrivetError('job_finished', { job: id, state: job.state });
    return job;
  }

  async #end(statements: Statements, job: RepairJob, state: 'done' | 'cancelled'): Promise<void> {
    await statements.run(
      `UPDATE repair_jobs SET state = ?, open = NULL, fence = fence + 1, holder = NULL, lease_until = NULL, finished_at = ?
       WHERE id = ? AND open = 1`,
      [state, new Date(), job.id],
    );
  }
}

/** Whether a claim still is `job`'s; inside a SQL transaction, and locked there. */
export async function isHeld(statements: Statements, job: RepairJob): Promise<boolean> {
  return (await statements.all(`SELECT id FROM repair_jobs WHERE ${HELD} ${rowLock(statements)}`, heldBy(job))).length === 1;
}

const HELD = "id = ? AND fence = ? AND holder = ? AND state = 'running'";
/** No pause and no lease is longer: what lies further ahead was written by a clock that has been set back since. */
const FARTHEST_MS = 600_000;
const DUE = `((j.state = 'waiting' AND (j.attempt = 0 OR j.next_attempt_at <= ? OR j.next_attempt_at > ?))
  OR (j.state = 'running' AND (j.lease_until <= ? OR j.lease_until > ?)))`;
const DUE_ITSELF = DUE.replaceAll('j.', '');

const COLUMNS: readonly [keyof JobProgress, string][] = [
  ['source', 'source'], ['way', 'way'], ['round', 'round'], ['objects', 'objects'], ['totalObjects', 'total_objects'],
  ['bytes', 'bytes'], ['totalBytes', 'total_bytes'],
];

const JOB = `SELECT j.id, j.repository_id, p.name, j.node_id, j.reason, j.detail, j.state, j.attempt, j.fence, j.holder,
    j.lease_until, j.next_attempt_at, j.source, j.way, j.round, j.objects, j.total_objects, j.bytes, j.total_bytes,
    j.last_error, j.created_at, j.started_at, j.finished_at
  FROM repair_jobs j JOIN repositories p ON p.id = j.repository_id`;

function heldBy(job: RepairJob): Argument[] {
  return [job.id, job.fence, job.holder];
}

/** Rolls the SQL transaction back: the claim is somebody else's. */
class Lost extends Error {}

function asFalse(error: unknown): false {
  if (error instanceof Lost) return false;
  throw error;
}

/** A replica that nobody repairs any more is again what its job is for. */
async function leaveRepairing(statements: Statements, job: RepairJob): Promise<void> {
  await statements.run(
    "UPDATE replicas SET state = ?, reason = ? WHERE repository_id = ? AND node_id = ? AND state = 'repairing'",
    [stateOf(job.reason), toReason(job.detail), job.repository, job.node],
  );
}

function missing(id: string): never {
  throw new TrivetError('job_not_found', { job: id });
}

function toJob(row: Row): RepairJob {
  const number = (name: string) => (row[name] === null ? null : Number(row[name]));
  const date = (name: string) => (row[name] === null ? null : toDate(row[name]));
  return {
    id: String(row['id']),
    repository: String(row['repository_id']),
    repositoryName: String(row['name']),
    node: String(row['node_id']),
    reason: row['reason'] as JobReason,
    detail: String(row['detail']),
    state: row['state'] as JobState,
    attempt: Number(row['attempt']),
    fence: Number(row['fence']),
    holder: row['holder'] as string | null,
    leaseUntil: date('lease_until'),
    nextAttemptAt: toDate(row['next_attempt_at']),
    source: row['source'] as string | null,
    way: row['way'] as JobWay | null,
    round: Number(row['round']),
    objects: Number(row['objects']),
    totalObjects: number('total_objects'),
    bytes: Number(row['bytes']),
    totalBytes: number('total_bytes'),
    lastError: row['last_error'] as string | null,
    createdAt: toDate(row['created_at']),
    startedAt: date('started_at'),
    finishedAt: date('finished_at'),
  };
}
