import { randomBytes } from 'node:crypto';
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import type { Position } from '../participant/journal.ts';

/** What a replica remembers of itself beside git's own files. */
export interface ReplicaRecord extends Position {
  repository: string;
  objectFormat: ObjectFormat;
}

const FILE = 'trivet.json';
const UNFINISHED = '.new-';
/** None there, or something that is no file where it or its directory belongs. */
const NO_FILE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

/**
 * Replaces the record, durably. Not done for each commit: the journal knows them all since the last flush of the disk.
 * Due before a journal file is deleted, and when a replica leaves memory.
 *
 * Of a replica in use it is written in the replica's turn: what is written last must be what is newest.
 * @throws TrivetError replica_missing when the directory is gone, disk_failure
 */
export async function writeReplicaRecord(gitDir: string, record: ReplicaRecord): Promise<void> {
  const path = join(gitDir, FILE);
  const beside = `${path}${UNFINISHED}${randomBytes(4).toString('hex')}`;
  try {
    await writeFile(beside, JSON.stringify(record), { flush: true, flag: 'wx' });
    await rename(beside, path);
  } catch (cause) {
    await rm(beside, { force: true }).catch(() => {});
    const { code } = cause as NodeJS.ErrnoException;
    throw new TrivetError(code === 'ENOENT' ? 'replica_missing' : 'disk_failure', { operation: 'write the record of a replica', code }, { cause });
  }
}

/** Removes what a killed process left of records that were being written. */
export async function removeUnfinishedRecords(gitDir: string): Promise<void> {
  for (const name of await readdir(gitDir)) if (name.startsWith(`${FILE}${UNFINISHED}`)) await rm(join(gitDir, name), { force: true });
}

/**
 * The record, or undefined when there is none, or one that is damaged; such a replica has to be repaired.
 * @throws TrivetError disk_failure when that can't be said at the moment: a replica must not be taken for missing, and made
 *   anew, because a process has too many files open
 */
export async function readReplicaRecord(gitDir: string): Promise<ReplicaRecord | undefined> {
  let text: string;
  try {
    text = await readFile(join(gitDir, FILE), 'utf8');
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code);
    if (NO_FILE.has(code)) return undefined;
    throw new TrivetError('disk_failure', { operation: 'read the record of a replica', code }, { cause });
  }
  try {
    const record: unknown = JSON.parse(text);
    return record !== null && typeof record === 'object' ? record as ReplicaRecord : undefined;
  } catch {
    return undefined;
  }
}
