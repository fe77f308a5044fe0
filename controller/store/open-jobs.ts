import { newId } from '@trivet/proto/id.ts';
import { orKeep, type Statements } from './sql.ts';

/** What fits in the columns `reason` of a replica and of a job. */
const REASON_LENGTH = 500;

/** A reason as its column takes it. */
export function toReason(text: string): string {
  return text.slice(0, REASON_LENGTH);
}

/**
 * Gives every one of these replicas an open repair job; one that is open already stays as it is. A replica that isn't
 * there any more gets none. Inside the SQL transaction that takes a replica's currency away, so that no replica waits
 * for a repair that nobody knows of.
 */
export async function openJobs(
  statements: Statements, repository: string, nodes: readonly string[], reason: string,
): Promise<void> {
  const now = new Date();
  for (const node of nodes) {
    await statements.run(
      `INSERT INTO repair_jobs
         (id, repository_id, node_id, reason, detail, state, open, attempt, fence, round, objects, bytes,
          next_attempt_at, created_at)
       SELECT ?, r.repository_id, r.node_id, 'outdated', ?, 'waiting', 1, 0, 0, 0, 0, 0, ?, ?
       FROM replicas r WHERE r.repository_id = ? AND r.node_id = ?
       ${orKeep(statements.dialect, 'repair_jobs', ['repository_id', 'node_id', 'open'])}`,
      [newId(), toReason(reason), now, now, repository, node],
    );
  }
}
