import { newId } from '@trivet/proto/id.ts';
import type { Database } from './database.ts';
import { attempt } from './failure.ts';
import { closeJobs, openJobs, toReason } from './open-jobs.ts';
import { resolveFindings } from './resolve-findings.ts';
import type { DataLossRecord } from './rows.ts';
import { newestFirst, placeholders, type Row, rowLock, toDate } from './sql.ts';

export interface AcceptedLoss {
  repository: string;
  repositoryName: string;
  /** The node whose replica becomes the truth. It holds `after` already. */
  source: string;
  acceptedBy: string;
  reason: string;
  /** What the repository must still be at. */
  before: { generation: number; digest: string };
  sourceGeneration: number;
  after: { generation: number; digest: string; /** A full ref. */ head: string };
}

/** Where operators gave acknowledged pushes up. A row here is never changed nor removed. */
export class DataLosses {
  readonly #db: Database;

  constructor(db: Database) {
    this.#db = db;
  }

  /**
   * Makes what `source` holds the truth about a repository: its generation rises above every one that was ever known,
   * the source is current, all others are diverged and have jobs, and who did it is on record; all in one SQL transaction.
   * @returns undefined, and nothing has changed, when the repository isn't at `before` any more
   */
  async accept(loss: AcceptedLoss): Promise<DataLossRecord | undefined> {
    const id = newId();
    const { repository, source, before, after } = loss;
    if (after.generation <= before.generation) throw new RangeError('generations only rise');
    return attempt(() => this.#db.sql.transaction(async (statements) => {
      const now = new Date();
      const moved = await statements.run(
        `UPDATE repositories SET generation = ?, refs_digest = ?, default_branch = ?
         WHERE id = ? AND generation = ? AND refs_digest = ?`,
        [after.generation, after.digest, after.head, repository, before.generation, before.digest],
      );
      if (moved === 0) return undefined;
      const rows = await statements.all(`SELECT node_id FROM replicas WHERE repository_id = ? ${rowLock(statements)}`, [repository]);
      const others = rows.map((row) => String(row['node_id'])).filter((node) => node !== source);
      await statements.run(
        `UPDATE replicas SET changed_at = ?, state = 'current', generation = ?, digest = ?, reason = NULL, verified_at = ?
         WHERE repository_id = ? AND node_id = ?`,
        [now, after.generation, after.digest, now, repository, source],
      );
      await closeJobs(statements, repository, [source]);
      await resolveFindings(statements, repository, now, { node: source });
      if (others.length > 0) {
        const why = `${loss.acceptedBy} made the replica of ${source} the truth`;
        await statements.run(
          `UPDATE replicas SET changed_at = ?, state = 'diverged', reason = ?
           WHERE repository_id = ? AND node_id IN (${placeholders(others.length)})`,
          [now, toReason(why), repository, ...others],
        );
        await openJobs(statements, repository, others, 'diverged', why);
      }
      await statements.run(
        `INSERT INTO data_losses (id, repository_id, repository, source, accepted_by, reason, before_generation,
           before_digest, source_generation, after_generation, after_digest, accepted_at)
         VALUES (${placeholders(12)})`,
        [id, repository, loss.repositoryName, source, loss.acceptedBy, loss.reason, before.generation, before.digest,
          loss.sourceGeneration, after.generation, after.digest, now],
      );
      await statements.run(
        'INSERT INTO events (repository_id, kind, payload, created_at) VALUES (?, ?, ?, ?)',
        [repository, 'risk', JSON.stringify({ dataLoss: id, source, acceptedBy: loss.acceptedBy }), now],
      );
      return { ...loss, id, acceptedAt: now };
    }));
  }

  /** One page, the newest first. @param page.after the last id of the page before */
  async page(page: { after?: string; limit: number }): Promise<DataLossRecord[]> {
    const rows = await attempt(() => newestFirst(this.#db.sql, 'SELECT * FROM data_losses', 'id', [], page));
    return rows.map(toRecord);
  }
}

function toRecord(row: Row): DataLossRecord {
  return {
    id: String(row['id']),
    repository: String(row['repository_id']),
    repositoryName: String(row['repository']),
    source: String(row['source']),
    acceptedBy: String(row['accepted_by']),
    reason: String(row['reason']),
    before: { generation: Number(row['before_generation']), digest: String(row['before_digest']) },
    sourceGeneration: Number(row['source_generation']),
    after: { generation: Number(row['after_generation']), digest: String(row['after_digest']) },
    acceptedAt: toDate(row['accepted_at']),
  };
}
