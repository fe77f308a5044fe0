import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import type { Position } from '../participant/journal.ts';

/** What a replica remembers of itself beside git's own files. */
export interface ReplicaRecord extends Position {
  repository: string;
  objectFormat: ObjectFormat;
}

const FILE = 'trivet.json';

/**
 * Replaces the record, durably. Not done for each commit: the journal knows them all since the last flush of the disk.
 * Due before a journal file is deleted, and when a replica leaves memory.
 */
export async function writeReplicaRecord(gitDir: string, record: ReplicaRecord): Promise<void> {
  const path = join(gitDir, FILE);
  await writeFile(`${path}.new`, JSON.stringify(record), { flush: true });
  await rename(`${path}.new`, path);
}

/** The record, or undefined when there is none that can be read; such a replica has to be repaired. */
export async function readReplicaRecord(gitDir: string): Promise<ReplicaRecord | undefined> {
  try {
    return JSON.parse(await readFile(join(gitDir, FILE), 'utf8')) as ReplicaRecord;
  } catch {
    return undefined;
  }
}
