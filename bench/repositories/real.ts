import { mkdir, open, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ZERO_OID } from '../client/push.ts';
import type { RefUpdate } from '../client/push.ts';
import type { Git } from '../git.ts';
import { cached } from './cache.ts';
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
  return cached({
    cache,
    name: 'real',
    sources: ['real-history.ts'],
    work,
    async build() {
      progress('building the repository to clone (once; it is kept in the temporary directory)');
      await importHistory(git, work, realHistory());
      await describePack(git, work, await packAll(git, work));
    },
    read: readBuilt,
  });
}

/** Imports a history into `work/repository.git`, which is made when it isn't there. */
export async function importHistory(git: Git, work: string, history: Iterable<Buffer>): Promise<void> {
  const repository = join(work, 'repository.git');
  await mkdir(repository, { recursive: true });
  await git.run(repository, ['init', '--quiet', '--bare', '.']);
  // The import's own deltas are poor and replaced below: it only has to be quick.
  await git.run(repository, ['-c', 'core.compression=0', 'fast-import', '--quiet', '--depth=0'], history);
}

/** Everything in `work/repository.git` as one pack beside it. @returns its path */
export async function packAll(git: Git, work: string): Promise<string> {
  const packPath = join(work, 'all.pack');
  await git.runToFile(
    join(work, 'repository.git'),
    ['pack-objects', '--revs', '--all', '--stdout', '-q', '--delta-base-offset', '--no-reuse-object', '--window=10'],
    '',
    packPath,
  );
  return packPath;
}

/** Writes down what is in the pack, for `readBuilt`, and throws the repository away. */
export async function describePack(git: Git, work: string, packPath: string): Promise<void> {
  const repository = join(work, 'repository.git');
  const refs = (await git.run(repository, ['for-each-ref', '--format=%(objectname) %(refname)'])).toString();
  const updates: RefUpdate[] = refs.trim().split('\n').map((line) => {
    const [oid = '', ref = ''] = line.split(' ');
    return { ref, old: ZERO_OID, new: oid };
  });
  const listed = (await git.run(repository, ['rev-list', '--all', '--objects', '--no-object-names'])).toString();
  const objects = listed.trim().split('\n').length;
  const packed = await objectsIn(packPath);
  if (packed !== objects) throw new Error(`the pack holds ${packed} objects, not ${objects}`);
  const commits = Number((await git.run(repository, ['rev-list', '--all', '--count'])).toString());
  await writeFile(join(work, 'real.json'), JSON.stringify({ objects, commits, updates }));
  await rm(repository, { recursive: true, force: true });
}

/** What was built into a directory of the cache. Throws when it isn't all there. */
export async function readBuilt(directory: string): Promise<RealRepository> {
  const packPath = join(directory, 'all.pack');
  const text = await readFile(join(directory, 'real.json'), 'utf8');
  const described = JSON.parse(text) as Omit<RealRepository, 'packPath' | 'packBytes'>;
  return { ...described, packPath, packBytes: (await stat(packPath)).size };
}

/** The number of objects that a pack's header declares. */
async function objectsIn(packPath: string): Promise<number> {
  const file = await open(packPath);
  try {
    const { buffer } = await file.read(Buffer.alloc(12), 0, 12, 0);
    return buffer.readUInt32BE(8);
  } finally {
    await file.close();
  }
}
