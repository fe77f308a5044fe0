import { TrivetError } from '@trivet/proto/errors.ts';
import type { RefsSnapshot, RepairRequest, ReplicaPosition } from '@trivet/proto/messages.ts';
import type { Replica } from '../repository/replica.ts';
import type { Source } from './source.ts';

/** What SQL holds, which the round `refs` can't do without. Throws TrivetError bad_request. */
export function expectationOf(message: RepairRequest): ReplicaPosition {
  if (message.expect === undefined) throw new TrivetError('bad_request', { problem: 'the round "refs" needs the position to end in' });
  return message.expect;
}

/**
 * The refs of a source that has exactly what is expected: a source that fell behind or ran ahead would make this replica
 * equal to something that SQL doesn't hold.
 * @throws TrivetError repair_failed naming both positions
 */
export async function snapshotAt(source: Source, expect: ReplicaPosition): Promise<RefsSnapshot> {
  const snapshot = await source.snapshot(expect.generation);
  const { generation, digest } = snapshot;
  if (generation !== expect.generation || digest !== expect.digest) {
    throw new TrivetError('repair_failed', { source: source.url, problem: 'the source has another position', expected: expect, got: { generation, digest } });
  }
  return snapshot;
}

/** A promise is settled first: what it changes must not come over what is brought here. Throws TrivetError replica_busy. */
export function refuseWhilePromised(replica: Replica): void {
  if (replica.promise !== undefined) throw new TrivetError('replica_busy', { repository: replica.id, holds: replica.promise.record.batch });
}

/**
 * Generations never fall: a replica that is ahead of SQL may be all that is left of acknowledged pushes, and a person decides
 * what becomes of it. Throws TrivetError replica_ahead.
 */
export function refuseAhead(repository: string, held: number, expect: ReplicaPosition): void {
  if (held > expect.generation) throw new TrivetError('replica_ahead', { repository, asked: expect.generation, holds: held });
}
