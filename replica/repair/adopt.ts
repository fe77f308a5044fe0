import { TrivetError } from '@trivet/proto/errors.ts';
import type { AdoptRequest, ReplicaPosition } from '@trivet/proto/messages.ts';
import type { Journal } from '../participant/journal.ts';
import { syncPath } from '../repository/layout.ts';
import { writeReplicaRecord } from '../repository/position-file.ts';
import type { Replica } from '../repository/replica.ts';
import { refuseAhead, refuseWhilePromised } from './expectation.ts';

/**
 * accept-data-loss: the refs this replica has become the truth, at a generation above all that are known. Refs stay as they
 * are; the new generation is durable when it resolves. Asking again for the same changes nothing.
 * @param flush brings everything written to this node's file system to the disk
 * @throws TrivetError replica_busy while a promise is held; source_unsuitable when it has other refs than those named, in
 *   memory or on the disk; replica_ahead when it has this generation already, or a higher one; disk_failure
 */
export async function adopt(replica: Replica, request: AdoptRequest, journal: Journal, flush: () => Promise<void>): Promise<ReplicaPosition> {
  return replica.exclusively(async () => {
    const { id, gitDir, objectFormat, refs } = replica;
    const { generation, digest } = request;
    refuseWhilePromised(replica);
    if (replica.retired) throw new TrivetError('replica_busy', { repository: id });
    const disk = await refs.digestFromDisk();
    if (refs.digest !== digest || disk !== digest) throw new TrivetError('source_unsuitable', { repository: id, asked: digest, holds: refs.digest, disk });
    if (replica.generation === generation) return replica.position;
    refuseAhead(id, replica.generation, request);
    // The refs first: earlier promises, which are what makes them durable, are about to lose their say.
    await flush();
    await writeReplicaRecord(gitDir, { repository: id, objectFormat, generation, digest });
    await syncPath(gitDir);
    await journal.append({ kind: 'restart', repository: id }, true);
    replica.adopt(generation);
    replica.recordedGeneration = generation;
    return replica.position;
  });
}
