import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { dropMultiPackIndex, readMultiPackIndex } from '../git/multi-pack-index.ts';
import { packDirectory } from '../git/pack-directory.ts';
import { UnreadableIndex } from '../git/pack-ids.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';
import { stagingDirectory } from './combine.ts';
import { forgetRetired, isProven, readRetired, removeRetired, type Retired } from './retired.ts';

/** Takes away what a maintenance has made and not put in its place, and the locks of gits that were killed. */
export async function removeStaged(gitDir: string): Promise<void> {
  const info = join(gitDir, 'objects', 'info');
  const locks = [
    join(packDirectory(gitDir), 'multi-pack-index.lock'), join(info, 'commit-graph.lock'), join(info, 'commit-graphs', 'commit-graph-chain.lock'),
  ];
  for (const path of [stagingDirectory(gitDir), ...locks]) await rm(path, { recursive: true, force: true });
}

/**
 * Brings a replica in order in which the node died while it was maintained: what was made and has no place goes, and what
 * was to go, and may be half gone, goes. Doing it twice changes nothing. Only for a node that is starting.
 * @throws TrivetError disk_failure
 */
export async function finishMaintenance(gitDir: string): Promise<void> {
  try {
    await removeStaged(gitDir);
    const retired = await readRetired(gitDir);
    if (retired === undefined) return;
    // If what has come isn't there any more, verification finds out what that means.
    if (!await provenForNow(gitDir, retired)) return await forgetRetired(gitDir);
    const covered = await readMultiPackIndex(gitDir);
    if (retired.gone.some((name) => covered?.indexes.has(`${name}.idx`))) await dropMultiPackIndex(gitDir);
    await removeRetired(gitDir, retired);
  } catch (error) {
    throw asDiskFailure(error);
  }
}

async function provenForNow(gitDir: string, retired: Retired): Promise<boolean> {
  try {
    return await isProven(gitDir, retired, new AbortController().signal);
  } catch (error) {
    if (error instanceof UnreadableIndex) return false;
    throw error;
  }
}
