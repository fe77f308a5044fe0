import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ZERO_OID } from '../client/push.ts';
import type { RefUpdate } from '../client/push.ts';
import type { Git } from '../git.ts';
import { realHistory } from './real-history.ts';

/** A repository like those people have, ready to be pushed. */
export interface RealRepository {
  packPath: string;
  packBytes: number;
  /** Objects in the pack: everything that is reachable from the refs. */
  objects: number;
  commits: number;
  updates: readonly RefUpdate[];
}

/**
 * Builds the repository, or takes it from the cache when this version of the generator built it before. The same
 * objects come out everywhere; the pack may differ a little, since git's threads share out the delta search.
 * @param cache a directory that outlives the bench
 * @param work a directory to build in, on the same file system; it is made, and moved into the cache when complete
 */
export async function buildRealRepository(
  git: Git,
  cache: string,
  work: string,
  progress: (text: string) => void,
): Promise<RealRepository> {
  const source = await readFile(join(import.meta.dirname, 'real-history.ts'));
  const version = createHash('sha256').update(source).digest('hex').slice(0, 12);
  const directory = join(cache, `real-${version}`);
  const built = await readBuilt(directory);
  if (built !== undefined) return built;

  progress('building the repository to clone (once; it is kept in the temporary directory)');
  await build(git, work);
  // What an older version of the generator built is of no more use.
  await rm(cache, { recursive: true, force: true });
  await mkdir(cache, { recursive: true });
  await rename(work, directory);
  const result = await readBuilt(directory);
  if (result === undefined) throw new Error(`${directory} is not complete`);
  return result;
}

async function build(git: Git, work: string): Promise<void> {
  const repository = join(work, 'repository.git');
  await mkdir(repository, { recursive: true });
  await git.run(repository, ['init', '--quiet', '--bare', '.']);
  // The import's own deltas are poor and replaced below: it only has to be quick.
  await git.run(repository, ['-c', 'core.compression=0', 'fast-import', '--quiet', '--depth=0'], realHistory());
  const packPath = join(work, 'all.pack');
  await git.runToFile(
    repository,
    ['pack-objects', '--revs', '--all', '--stdout', '-q', '--delta-base-offset', '--no-reuse-object', '--window=10'],
    '',
    packPath,
  );
  const refs = (await git.run(repository, ['for-each-ref', '--format=%(objectname) %(refname)'])).toString();
  const updates: RefUpdate[] = refs.trim().split('\n').map((line) => {
    const [oid = '', ref = ''] = line.split(' ');
    return { ref, old: ZERO_OID, new: oid };
  });
  const listed = (await git.run(repository, ['rev-list', '--all', '--objects', '--no-object-names'])).toString();
  const objects = listed.trim().split('\n').length;
  const packed = (await readFile(packPath)).readUInt32BE(8);
  if (packed !== objects) throw new Error(`the pack holds ${packed} objects, not ${objects}`);
  const commits = Number((await git.run(repository, ['rev-list', '--all', '--count'])).toString());
  await writeFile(join(work, 'real.json'), JSON.stringify({ objects, commits, updates }));
  await rm(repository, { recursive: true, force: true });
}

async function readBuilt(directory: string): Promise<RealRepository | undefined> {
  try {
    const packPath = join(directory, 'all.pack');
    const text = await readFile(join(directory, 'real.json'), 'utf8');
    const described = JSON.parse(text) as Omit<RealRepository, 'packPath' | 'packBytes'>;
    return { ...described, packPath, packBytes: (await stat(packPath)).size };
  } catch {
    return undefined;
  }
}
