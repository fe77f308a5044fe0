import { TrivetError } from '@trivet/proto/errors.ts';
import type { ReplicaPosition } from '@trivet/proto/messages.ts';
import { missingObjects } from '../git/closure.ts';
import type { Replica } from '../repository/replica.ts';
import type { ReplicaRecord } from '../repository/position-file.ts';
import { isFinding } from './git-failure.ts';
import { lookForPacks } from './packs-on-disk.ts';
import type { Problems } from './problems.ts';
import { refsOnDisk } from './refs-on-disk.ts';

/** What every verification says. */
export interface Looked {
  position: ReplicaPosition;
  diskDigest: string | null;
  packs: number;
  bytes: number;
}

/**
 * Compares a replica's disk with its memory, without reading objects: the record, every ref, that what each ref names is
 * there, that every pack has its index and the reverse.
 * @param seenIndexes file names of indexes that were in the store a while ago; nothing may have gone since
 * @param record what lies beside git's files; undefined when it can't be read
 * @throws TrivetError replica_busy, git_failed, disk_failure; the signal's reason
 */
export async function verifyLight(
  replica: Replica, record: ReplicaRecord | undefined, seenIndexes: ReadonlySet<string>, problems: Problems, signal: AbortSignal,
): Promise<Looked> {
  if (record === undefined) problems.add('diverged', 'the record beside the refs can not be read');
  else if (record.objectFormat !== replica.objectFormat) problems.add('corrupt', `the record says ${String(record.objectFormat)}, not ${replica.objectFormat}`);
  const { position, diskDigest, unreadable } = await refsOnDisk(replica);
  if (diskDigest === null) problems.add('diverged', `the refs can not be read: ${unreadable}`);
  else if (diskDigest !== position.digest) problems.add('diverged', `the refs on the disk have the digest ${diskDigest}, those in memory ${position.digest}`);
  // The cause before its consequences: of many problems the first ones are told.
  const { packs } = await lookForPacks(replica, seenIndexes, problems);
  await lookForTips(replica, problems, signal);
  return { position, diskDigest, packs: packs.length, bytes: packs.reduce((sum, pack) => sum + pack.bytes, 0) };
}

/** Objects never go, so it doesn't matter that refs may have moved on since they were listed. */
async function lookForTips(replica: Replica, problems: Problems, signal: AbortSignal): Promise<void> {
  const entries = replica.refs.entries();
  try {
    const missing = await missingObjects(replica.gitDir, entries.map(([, oid]) => oid), signal);
    if (missing.size === 0) return;
    const refs = Map.groupBy(entries.filter(([, oid]) => missing.has(oid)), ([, oid]) => oid);
    for (const [oid, [first, ...others]] of refs) {
      const named = others.length === 0 ? `${first![0]} names` : `${first![0]} and ${others.length} more name`;
      problems.add('corrupt', `${named} ${oid}, which is not there or can not be read`);
    }
  } catch (error) {
    if (!(error instanceof TrivetError && isFinding(error))) throw error;
    problems.add('corrupt', `git does not work here: ${String(error.fields['stderr'])}`);
  }
}
