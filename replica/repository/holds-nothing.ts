import { join } from 'node:path';
import { readPackDirectory } from '../git/pack-directory.ts';
import { PACKED_REFS } from '../refs/packed-refs.ts';
import { filesBelow, readIfThere } from '../refs/scan.ts';
import { readReplicaRecord } from './position-file.ts';
import type { Replica } from './replica.ts';

/**
 * Whether a repository directory is as it was made: at generation 0, without a ref, an object, a vote or a promise. One that
 * can't be read holds something.
 * @param open the replica, when it is in memory
 */
export async function holdsNothing(gitDir: string, open: Replica | undefined): Promise<boolean> {
  if (open !== undefined && !(open.idle && open.generation === 0 && open.refs.size === 0)) return false;
  try {
    const record = await readReplicaRecord(gitDir);
    // Without a record its making was broken off.
    if (record !== undefined && record.generation > 0) return false;
    const { packs, withoutIndex, withoutPack, loose } = await readPackDirectory(gitDir);
    if (packs.length + withoutIndex.length + withoutPack.length > 0 || loose) return false;
    const packedRefs = readIfThere(join(gitDir, PACKED_REFS))?.toString('latin1') ?? '';
    return filesBelow(gitDir, 'refs').next().done === true && packedRefs.split('\n').every((line) => line === '' || line.startsWith('#'));
  } catch {
    return false;
  }
}
