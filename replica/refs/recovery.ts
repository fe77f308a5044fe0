import { existsSync, lstatSync, readFileSync } from 'node:fs';
import { RefFiles } from './ref-files.ts';
import { filesBelow } from './scan.ts';

/** An object id and a newline: a loose ref larger than this is no torn one. */
const LONGEST_LOOSE_REF_BYTES = 65;

/**
 * Removes what a killed process left: `*.lock` below refs/, HEAD.lock, packed-refs.lock and packed-refs.new.
 * Only for a node that is starting, when it knows that none of its processes works in the repository.
 * @returns how many files there were
 */
export async function removeOrphanLocks(gitDir: string): Promise<number> {
  const below = [...filesBelow(gitDir, 'refs')].map(([path]) => path).filter((path) => path.endsWith('.lock'));
  const beside = ['HEAD.lock', 'packed-refs.lock', 'packed-refs.new'].filter((path) => existsSync(`${gitDir}/${path}`));
  const files = new RefFiles(gitDir);
  for (const path of [...below, ...beside]) files.remove(path);
  files.removeEmptyDirectoriesAbove(below);
  return below.length + beside.length;
}

/**
 * Removes loose refs that a loss of power left empty or full of zero bytes: they were renamed into place, but their
 * content never reached the disk. What they should hold is in the journal; until it is replayed, such a ref shows what
 * packed-refs has. Only for a node that is starting and will compare the digest afterwards.
 * @returns the names of those refs
 */
export async function removeTornRefs(gitDir: string): Promise<string[]> {
  const files = new RefFiles(gitDir);
  const torn = [...filesBelow(gitDir, 'refs')]
    .filter(([path, entry]) => entry.isFile() && !path.endsWith('.lock') && isTorn(`${gitDir}/${path}`))
    .map(([path]) => path);
  for (const path of torn) files.remove(path);
  return torn;
}

function isTorn(path: string): boolean {
  return lstatSync(path).size <= LONGEST_LOOSE_REF_BYTES && readFileSync(path).every((byte) => byte === 0);
}
