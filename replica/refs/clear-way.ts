import { lstatSync, mkdirSync, readdirSync, renameSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { asDiskFailure } from './disk-failure.ts';
import { removeOrphanLocks } from './recovery.ts';

/**
 * Takes away what would keep all refs from being written anew, and that nobody but a person can have put there: lock files,
 * names below refs/ that aren't UTF-8, a directory where HEAD or packed-refs belongs; and makes the directories that are
 * missing. Only while this node holds no promise for the repository, so that no lock is its own.
 * @throws TrivetError disk_failure
 */
export async function clearWayForRefs(gitDir: string): Promise<void> {
  try {
    for (const directory of ['refs/heads', 'refs/tags']) mkdirSync(join(gitDir, directory), { recursive: true });
    removeUnreadableNames(Buffer.from(join(gitDir, 'refs')));
    await removeOrphanLocks(gitDir);
    for (const file of ['HEAD', 'packed-refs']) {
      const path = join(gitDir, file);
      // Its content is unknown to us, so it is kept.
      if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) renameSync(path, `${path}.aside-${process.hrtime.bigint()}`);
    }
  } catch (error) {
    throw asDiskFailure(error);
  }
}

/** No ref has such a name, and no string can be made of it that would find it again. */
function removeUnreadableNames(directory: Buffer): void {
  for (const entry of readdirSync(directory, { withFileTypes: true, encoding: 'buffer' })) {
    const path = Buffer.concat([directory, Buffer.from('/'), entry.name]);
    if (entry.isDirectory()) removeUnreadableNames(path);
    else if (!Buffer.from(entry.name.toString()).equals(entry.name)) unlinkSync(path);
  }
}
