import type { Oid } from '@trivet/proto/object-format.ts';
import { isFileError } from './malformed-refs.ts';
import { PACKED_REFS, withoutPackedRefs } from './packed-refs.ts';
import type { RefChange } from './ref-change.ts';
import type { RefFiles } from './ref-files.ts';
import { readIfThere } from './scan.ts';

// git's own protocol: whoever holds packed-refs.lock writes packed-refs.new, puts that in packed-refs' place, and
// gives the lock back last. So the lock still holds off `git pack-refs` while loose files are removed after the rename.
const PACKED_LOCK = `${PACKED_REFS}.lock`;
const PACKED_NEW = `${PACKED_REFS}.new`;

/** A directory can go between our making it and our using it, when git prunes empty ones. git also tries thrice. */
const MAX_ATTEMPTS = 3;

/** Commit runs from its first step, undo from its last; both are filled as staging goes on, so that a failure can be undone. */
export interface Staged {
  commit: (() => void)[];
  undo: (() => void)[];
}

/**
 * Stages a small change: a lock for each ref, with its new value. The commit shows, step by step,
 *  1. new values, by renaming locks into place;
 *  2. HEAD, when the branch it moves to is there and the one it leaves still is;
 *  3. packed-refs without the deleted refs, while their loose files still show their last value: removed the other
 *     way round, a reader would see an older, packed value come back for a moment;
 *  4. the deleted refs gone.
 * A ref that exists before and after has a loose file or a packed line at every moment.
 */
export async function stageLoose(files: RefFiles, change: RefChange, staged: Staged): Promise<void> {
  const deleted = change.updates.filter((update) => update.new === undefined).map(({ ref }) => ref);
  for (const { ref, new: oid } of change.updates) {
    const lock = lockOf(ref);
    lockRef(files, lock, oid, staged);
    if (oid === undefined) continue;
    files.clearWay(ref);
    staged.commit.push(() => files.replace(ref, lock));
  }
  await stageHead(files, change.head?.new, staged);
  if (deleted.length === 0) return;
  lockPacked(files, staged);
  const packed = readIfThere(`${files.gitDir}/${PACKED_REFS}`);
  const rest = packed && withoutPackedRefs(packed, deleted);
  if (rest) await stagePackedFile(files, rest, staged);
  for (const ref of deleted) staged.commit.push(() => files.remove(ref));
  staged.commit.push(() => files.remove(PACKED_LOCK));
  for (const ref of deleted) staged.commit.push(() => files.remove(lockOf(ref)));
  staged.commit.push(() => files.removeEmptyDirectoriesAbove(deleted));
}

/**
 * Stages a large change: packed-refs as a whole. The commit puts it in place, then removes the loose files that
 * override it. Until its file goes a ref shows its old value, then the new one, and in between it is in both places.
 *
 * @param text the new packed-refs, with every ref there will be
 * @param loose refs whose files must go
 */
export async function stagePacked(
  files: RefFiles, text: string, loose: readonly string[], head: string | undefined, staged: Staged,
): Promise<void> {
  lockPacked(files, staged);
  await stagePackedFile(files, text, staged);
  await stageHead(files, head, staged);
  for (const ref of loose) staged.commit.push(() => files.remove(ref));
  staged.commit.push(() => files.remove(PACKED_LOCK));
  staged.commit.push(() => files.removeEmptyDirectoriesAbove(loose));
}

function lockRef(files: RefFiles, lock: string, oid: Oid | undefined, staged: Staged): void {
  for (let attempt = 1; ; attempt++) {
    for (const directory of files.makeDirectoriesAbove(lock)) staged.undo.push(() => files.removeIfEmpty(directory));
    try {
      files.create(lock, oid === undefined ? '' : `${oid}\n`);
      staged.undo.push(() => files.remove(lock));
      return;
    } catch (error) {
      if (!isFileError(error, 'ENOENT') || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

function lockPacked(files: RefFiles, staged: Staged): void {
  files.create(PACKED_LOCK, '');
  staged.undo.push(() => files.remove(PACKED_LOCK));
}

/** Durable before the rename: this file holds refs that no journal has, and a torn one would lose them all. */
async function stagePackedFile(files: RefFiles, content: string | Uint8Array, staged: Staged): Promise<void> {
  await files.createDurable(PACKED_NEW, content);
  staged.undo.push(() => files.remove(PACKED_NEW));
  staged.commit.push(() => files.replace(PACKED_REFS, PACKED_NEW));
}

/** Durable before the rename: git doesn't take a directory with a torn HEAD for a repository. */
async function stageHead(files: RefFiles, head: string | undefined, staged: Staged): Promise<void> {
  if (head === undefined) return;
  await files.createDurable('HEAD.lock', `ref: ${head}\n`);
  staged.undo.push(() => files.remove('HEAD.lock'));
  staged.commit.push(() => files.replace('HEAD', 'HEAD.lock'));
}

function lockOf(ref: string): string {
  return `${ref}.lock`;
}
