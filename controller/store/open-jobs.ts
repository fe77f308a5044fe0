import { newId } from '@trivet/proto/id.ts';
import type { JobReason, LostState } from './rows.ts';
import { orKeep, placeholders, type Statements } from './sql.ts';

/** What fits in the columns `reason` of a replica and `detail` of a job or a finding. */
const REASON_LENGTH = 500;

/** A reason as its column takes it. */
export function toReason(text: string): string {
  return text.slice(0, REASON_LENGTH);
}

/** From what a fetch mends to what may need every object anew: a job that is open for less is raised to the worse. */
const SEVERITY: readonly (readonly JobReason[])[] = [['outdated'], ['diverged'], ['missing', 'new_replica', 'move'], ['corrupt']];

/** The state of a replica that waits for a job of this reason. */
export function stateOf(reason: JobReason): LostState {
  return reason === 'new_replica' || reason === 'move' ? 'missing' : reason;
}

/**
 * Gives every one of these replicas an open repair job. One that is open for the same or worse stays as it is; one that
 * is open for less begins anew with this reason, and whoever was at it has lost its claim. A replica that isn't there
 * any more gets none. Inside the SQL transaction that takes a replica's currency away, so that no replica waits for a
 * repair that nobody knows of.
 */
export async function openJobs(
  statements: Statements, repository: string, nodes: readonly string[], reason: JobReason, detail: string,
): Promise<void> {
  if (nodes.length === 0) return;
  const now = new Date();
  const lesser = SEVERITY.slice(0, SEVERITY.findIndex((reasons) => reasons.includes(reason))).flat();
  if (lesser.length > 0) {
    await statements.run(
      `UPDATE repair_jobs SET reason = ?, detail = ?, state = 'waiting', attempt = 0, fence = fence + 1, holder = NULL,
         lease_until = NULL, next_attempt_at = ?, way = NULL
       WHERE repository_id = ? AND node_id IN (${placeholders(nodes.length)}) AND open = 1
         AND reason IN (${placeholders(lesser.length)})`,
      [reason, toReason(detail), now, repository, ...nodes, ...lesser],
    );
  }
  for (const node of nodes) {
    await statements.run(
      `INSERT INTO repair_jobs
         (id, repository_id, node_id, reason, detail, state, open, attempt, fence, round, objects, bytes,
          next_attempt_at, created_at)
       SELECT ?, r.repository_id, r.node_id, ?, ?, 'waiting', 1, 0, 0, 0, 0, 0, ?, ?
       FROM replicas r WHERE r.repository_id = ? AND r.node_id = ?
       ${orKeep(statements.dialect, 'repair_jobs', ['repository_id', 'node_id', 'open'])}`,
      [newId(), reason, toReason(detail), now, now, repository, node],
    );
  }
}

/** Ends the open jobs of replicas that have become current in another way. Who works on one has lost its claim. */
export async function closeJobs(statements: Statements, repository: string, nodes: readonly string[]): Promise<void> {
  if (nodes.length === 0) return;
  await statements.run(
    `UPDATE repair_jobs SET state = 'done', open = NULL, fence = fence + 1, holder = NULL, lease_until = NULL, finished_at = ?
     WHERE repository_id = ? AND node_id IN (${placeholders(nodes.length)}) AND open = 1`,
    [new Date(), repository, ...nodes],
  );
}
