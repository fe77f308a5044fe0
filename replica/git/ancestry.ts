import { TrivetError } from '@trivet/proto/errors.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import { runGit } from './process.ts';

/**
 * Whether a commit is reachable from another along parents. One that isn't here, or is no commit, is not.
 *
 * Whatever keeps git from saying so is no answer: a node that called it a no would vote differently from the others, and be
 * taken for diverged. git-merge-base(1) ends with 1 also when it could not read a commit in between, and then says so.
 * @param alternate an object directory whose objects count as well
 * @throws TrivetError git_failed; the signal's reason
 */
export async function isAncestor(
  gitDir: string, alternate: string | undefined, ancestor: Oid, descendant: Oid, signal: AbortSignal,
): Promise<boolean> {
  const env: Record<string, string> = { GIT_NO_REPLACE_OBJECTS: '1', ...(alternate !== undefined && { GIT_ALTERNATE_OBJECT_DIRECTORIES: alternate }) };
  try {
    await runGit(['merge-base', '--is-ancestor', ancestor, descendant], { gitDir, env, signal });
    return true;
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof TrivetError && error.code === 'git_failed' && saysNo(error.fields, ancestor)) return false;
    throw error;
  }
}

function saysNo({ code, stderr }: Readonly<Record<string, unknown>>, ancestor: Oid): boolean {
  const faults = String(stderr).split('\n').filter((line) => /^(error|fatal): /.test(line));
  if (code === 1) return faults.length === 0;
  // A tag that leads to something else is named in the last line, what it leads to in the first.
  if (faults.length === 2 && /^error: object [0-9a-f]+ is a (blob|tree|tag), not a commit$/.test(faults[0]!)) faults.shift();
  return code === 128 && faults.length === 1 && faults[0] === `fatal: Not a valid commit name ${ancestor}`;
}
