import { TrivetError } from '@trivet/proto/errors.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import { runGit, startGit } from './process.ts';

/** A commit graph or an index over several packs would be believed instead of the packs, which are what is asked about. */
const PACKS_ONLY = ['-c', 'core.commitGraph=false', '-c', 'core.multiPackIndex=false'];
/** A client may push refs/replace/…: what is asked here is what is in the store. */
const AS_STORED = { GIT_NO_REPLACE_OBJECTS: '1' };

/**
 * Which of these objects are not in a store, as a new git process sees it: no memory of this one is asked.
 * @throws TrivetError git_failed; the signal's reason
 */
export async function missingObjects(gitDir: string, oids: Iterable<Oid>, signal?: AbortSignal): Promise<Set<Oid>> {
  const asked = [...new Set(oids)];
  if (asked.length === 0) return new Set();
  const output = await runGit([...PACKS_ONLY, 'cat-file', '--batch-check=%(objecttype)', '--buffer'], {
    gitDir, env: AS_STORED, input: asked.map((oid) => `${oid}\n`).join(''), ...(signal && { signal }),
  }).catch((error: unknown) => { signal?.throwIfAborted(); throw error; });
  const lines = output.toString('latin1').split('\n');
  return new Set(asked.filter((_, i) => !/^(commit|tree|blob|tag)$/.test(lines[i] ?? '')));
}

/**
 * Whether a store has everything that is reachable from `tips`, by walking it: commits, trees and tags are read, blobs
 * looked up.
 * @param proven tips for which that is known already; the walk ends where it meets what they reach
 * @throws TrivetError git_failed when git was killed; the signal's reason
 */
export async function isClosed(gitDir: string, tips: Iterable<Oid>, proven: Iterable<Oid>, signal?: AbortSignal): Promise<boolean> {
  const wanted = new Set(tips);
  const known = new Set(proven).difference(wanted);
  if (wanted.size === 0) return true;
  if (await walk(gitDir, wanted, known, signal)) return true;
  // A ref moved by hand may name anything; git takes a name that isn't there for a fault of the whole question.
  const missing = await missingObjects(gitDir, wanted.union(known), signal);
  if (!missing.isDisjointFrom(wanted) || missing.size === 0) return false;
  return walk(gitDir, wanted, known.difference(missing), signal);
}

/** Whether git reaches all of it. Asked first, for each question starts a git that opens every pack. */
async function walk(gitDir: string, wanted: ReadonlySet<Oid>, known: ReadonlySet<Oid>, signal: AbortSignal | undefined): Promise<boolean> {
  const git = startGit([...PACKS_ONLY, 'rev-list', '--objects', '--quiet', '--stdin'], { gitDir, env: AS_STORED, ...(signal && { signal }) });
  git.child.stdout.resume();
  for (const oid of wanted) git.child.stdin.write(`${oid}\n`);
  git.child.stdin.end([...known].map((oid) => `^${oid}\n`).join(''));
  const { code, signal: killedBy, stderr } = await git.done;
  signal?.throwIfAborted();
  if (code === null) throw new TrivetError('git_failed', { args: ['rev-list'], code, signal: killedBy, stderr });
  return code === 0;
}
