import { TrivetError } from '@trivet/proto/errors.ts';
import type { RefsSnapshot, ReplicaPosition } from '@trivet/proto/messages.ts';
import type { Journal } from '../participant/journal.ts';
import { clearWayForRefs } from '../refs/clear-way.ts';
import { readReplicaRecord, writeReplicaRecord } from '../repository/position-file.ts';
import type { Replica } from '../repository/replica.ts';
import { refuseAhead, refuseWhilePromised } from './expectation.ts';

/**
 * Makes a replica's refs the source's, on the disk and in memory, and takes its generation. All objects are there already.
 *
 * Durable in this order: refs and record, then the journal's word that earlier promises no longer count. A crash in between
 * leaves refs on which earlier promises are made so again; such a replica doesn't match SQL, and its repair starts over.
 * @param flush brings everything written to this node's file system to the disk
 * @throws TrivetError replica_busy, replica_ahead, repair_failed, disk_failure
 */
export async function takeOver(
  replica: Replica, snapshot: RefsSnapshot, expect: ReplicaPosition, journal: Journal, flush: () => Promise<void>,
): Promise<void> {
  await replica.exclusively(async () => {
    const { id, gitDir, objectFormat, refs } = replica;
    if (replica.retired) throw new TrivetError('replica_busy', { repository: id });
    refuseWhilePromised(replica);
    refuseAhead(id, Math.max(replica.generation, (await readReplicaRecord(gitDir))?.generation ?? 0), expect);
    await clearWayForRefs(gitDir);
    await refs.replaceAll(snapshot.head, snapshot.refs);
    const { digest } = refs;
    if (digest !== expect.digest) throw new TrivetError('repair_failed', { repository: id, expected: expect, got: { digest } });
    await writeReplicaRecord(gitDir, { repository: id, objectFormat, generation: expect.generation, digest });
    await flush();
    await journal.append({ kind: 'restart', repository: id }, true);
    replica.adopt(expect.generation);
    replica.recordedGeneration = expect.generation;
  });
}
