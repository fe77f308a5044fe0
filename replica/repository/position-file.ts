import { readFile, rename, writeFile } from 'node:fs/promises';
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
/** None there, or something that is no file where it or its directory belongs. */
const NO_FILE: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR']);

/**
 * Replaces the record, durably. Not done for each commit: the journal knows them all since the last flush of the disk.
 * Due before a journal file is deleted, and when a replica leaves memory.
 */
export async function writeReplicaRecord(gitDir: string, record: ReplicaRecord): Promise<void> {
  const path = join(gitDir, FILE);
  await writeFile(`${path}.new`, JSON.stringify(record), { flush: true });
  await rename(`${path}.new`, path);
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
