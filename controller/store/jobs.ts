import type { RepairJob as JobRow } from '../../prisma/generated/mysql/client.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { openJobs } from './open-jobs.ts';
import type { RepairJob } from './rows.ts';

/** What fits in the column `last_error`. */
const ERROR_LENGTH = 4_000;

/**
 * Repair jobs, at most one open for each replica.
 *
 * `waiting`: nobody works on it; due from `next_attempt_at`. Left by `claim`.
 * `running`: `holder` works on it until `lease_until`. Left by `finish` (the row goes) and `fail` (waiting again, for
 * later); after the lease also by another `claim`, as the holder may be dead.
 *
 * Every claim raises the fence, and every statement of a holder names the fence it was given: a holder that was slow
 * rather than dead changes nothing any more.
 */
export class RepairJobs {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /** Opens a job for a replica, unless one is open. */
  async ensure(repository: string, node: string, reason: string): Promise<void> {
    await attempt(() => openJobs(this.#db.sql, repository, [node], reason));
  }

  /**
   * Opens a job for each replica that isn't current and has none: one whose job was finished just as it fell behind again.
   * @param limit replicas at most
   */
  async ensureAll(limit: number): Promise<void> {
    await attempt(async () => {
      const rows = await this.#db.sql.all(
        `SELECT r.repository_id, r.node_id, r.reason FROM replicas r
         LEFT JOIN repair_jobs j ON j.repository_id = r.repository_id AND j.node_id = r.node_id
         WHERE r.state <> 'current' AND j.id IS NULL LIMIT ?`,
        [limit],
      );
      for (const row of rows) {
        await openJobs(this.#db.sql, String(row['repository_id']), [String(row['node_id'])], String(row['reason'] ?? 'not current'));
      }
    });
  }

  /**
   * Takes jobs that are due, the longest due first. Two that claim at once never get the same job.
   * @param input.holder who claims, unique among all controllers
   * @param input.limit how many at most
   */
  async claim(input: { holder: string; leaseMs: number; limit: number }): Promise<RepairJob[]> {
    return attempt(async () => {
      const now = await this.#db.now();
      const due = await this.#db.prisma.repairJob.findMany({
        where: {
          OR: [{ state: 'waiting', nextAttemptAt: { lte: now } }, { state: 'running', leaseUntil: { lte: now } }],
        },
        orderBy: [{ nextAttemptAt: 'asc' }, { id: 'asc' }],
        take: input.limit,
      });
      const claimed: RepairJob[] = [];
      for (const row of due) {
        const data = {
          state: 'running',
          attempt: row.attempt + 1,
          fence: Number(row.fence) + 1,
          holder: input.holder,
          leaseUntil: new Date(now.getTime() + input.leaseMs),
        };
        const { id, fence, state, leaseUntil, nextAttemptAt } = row;
        // Only as it was read: whoever claimed, renewed or failed it meanwhile keeps what they did.
        const { count } = await this.#db.prisma.repairJob.updateMany({
          where: { id, fence, state, leaseUntil, nextAttemptAt }, data,
        });
        if (count === 1) claimed.push(toJob({ ...row, ...data, fence: BigInt(data.fence) }));
      }
      return claimed;
    });
  }

  /** Takes a finished job out. False, and nothing has changed, when the claim isn't `job`'s any more. */
  async finish(job: RepairJob): Promise<boolean> {
    const { count } = await attempt(() => this.#db.prisma.repairJob.deleteMany({ where: claimOf(job) }));
    return count === 1;
  }

  /** Gives a job back after a failure. False, and nothing has changed, when the claim isn't `job`'s any more. */
  async fail(job: RepairJob, error: string, retryAfterMs: number): Promise<boolean> {
    return this.#update(job, (now) => ({
      state: 'waiting',
      holder: null,
      leaseUntil: null,
      lastError: error.slice(0, ERROR_LENGTH),
      nextAttemptAt: new Date(now.getTime() + retryAfterMs),
    }));
  }

  /** Extends the lease to `leaseMs` from now. False when the claim isn't `job`'s any more: then stop working on it. */
  async renew(job: RepairJob, leaseMs: number): Promise<boolean> {
    return this.#update(job, (now) => ({ leaseUntil: new Date(now.getTime() + leaseMs) }));
  }

  /** All open jobs, oldest first. */
  async list(): Promise<RepairJob[]> {
    const rows = await attempt(() => this.#db.prisma.repairJob.findMany({
      orderBy: [{ createdAt: 'asc' }, { id: 'asc' }],
    }));
    return rows.map(toJob);
  }

  async countByState(): Promise<{ waiting: number; running: number }> {
    const groups = await attempt(() => this.#db.prisma.repairJob.groupBy({ by: ['state'], _count: true }));
    const count = (state: string) => groups.find((group) => group.state === state)?._count ?? 0;
    return { waiting: count('waiting'), running: count('running') };
  }

  async #update(job: RepairJob, change: (now: Date) => Partial<JobRow>): Promise<boolean> {
    const { count } = await attempt(async () => this.#db.prisma.repairJob.updateMany({
      where: claimOf(job), data: change(await this.#db.now()),
    }));
    return count === 1;
  }
}

function claimOf(job: RepairJob): { id: string; fence: number; holder: string | null; state: string } {
  return { id: job.id, fence: job.fence, holder: job.holder, state: 'running' };
}

function toJob(row: JobRow): RepairJob {
  const { repositoryId, nodeId, ...rest } = row;
  return {
    ...rest, repository: repositoryId, node: nodeId, fence: Number(row.fence), state: row.state as RepairJob['state'],
  };
}
