import { TrivetError } from '@trivet/proto/errors.ts';
import type { RefsSnapshot, ReplicaPosition } from '@trivet/proto/messages.ts';
import type { Journal } from '../participant/journal.ts';
import { clearWayForRefs } from '../refs/clear-way.ts';
import { readReplicaRecord, writeReplicaRecord, type ReplicaRecord } from '../repository/position-file.ts';
import type { Replica } from '../repository/replica.ts';
import { refuseAhead, refuseWhilePromised } from './expectation.ts';

/** The disk under a replica that takes over refs. */
export interface TakeOverDisk {
  readRecord(): Promise<ReplicaRecord | undefined>;
  writeRecord(record: ReplicaRecord): Promise<void>;
  /** Takes away what lies where refs will be and is none of git's. */
  clearWay(): Promise<void>;
  /** Brings everything written to this node's file system to the disk. */
  flush(): Promise<void>;
}

/** The real one. @param flush brings everything written to this node's file system to the disk */
export function takeOverDisk(gitDir: string, flush: () => Promise<void>): TakeOverDisk {
  return {
    readRecord: () => readReplicaRecord(gitDir),
    writeRecord: (record) => writeReplicaRecord(gitDir, record),
    clearWay: async () => { await clearWayForRefs(gitDir); },
    flush,
  };
}

/**
 * Makes a replica's refs the source's, on the disk and in memory, and takes its generation. All objects are there already.
 *
 * Durable in this order, each step before the next begins:
 *  1. the old refs, their record, and the objects that were brought: until here a crash leaves the old replica, on which its
 *     promises are made so again, as ever;
 *  2. the journal's word that earlier promises no longer count. They aren't needed any more: what they did is on the disk. A
 *     crash after this leaves the old replica as it was, where it was;
 *  3. the new refs. A crash in the middle leaves some of the old and some of the new, all of which have their objects;
 *     that is no position SQL knows, so the repair starts over. Were the promises still to count, they would be made so
 *     again on refs they weren't made for;
 *  4. the new record. A crash before it leaves the new refs at the old generation, which is put right the same way.
 * @throws TrivetError replica_busy, replica_ahead, repair_failed, disk_failure
 */
export async function takeOver(
  replica: Replica, snapshot: RefsSnapshot, expect: ReplicaPosition, journal: Pick<Journal, 'append'>, disk: TakeOverDisk,
): Promise<void> {
  await replica.exclusively(async () => {
    const { id, objectFormat, refs } = replica;
    if (replica.retired) throw new TrivetError('replica_busy', { repository: id });
    refuseWhilePromised(replica);
    refuseAhead(id, Math.max(replica.generation, (await disk.readRecord())?.generation ?? 0), expect);
    await disk.writeRecord({ repository: id, objectFormat, ...replica.position });
    await disk.flush();
    await journal.append({ kind: 'restart', repository: id }, true);
    await disk.clearWay();
    await refs.replaceAll(snapshot.head, snapshot.refs);
    const { digest } = refs;
    if (digest !== expect.digest) throw new TrivetError('repair_failed', { repository: id, expected: expect, got: { digest } });
    await disk.writeRecord({ repository: id, objectFormat, generation: expect.generation, digest });
    await disk.flush();
    replica.adopt(expect.generation);
    replica.recordedGeneration = expect.generation;
  });
}
