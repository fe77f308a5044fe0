import { readPackDirectory, type PackDirectory } from '../git/pack-directory.ts';
import type { Replica } from '../repository/replica.ts';
import type { Problems } from './problems.ts';

/**
 * Looks whether every pack has its index and the reverse, and whether any has gone. A pack that is being moved in has its
 * index a moment later; in the replica's turn nothing moves, so what looks odd is looked at again there.
 * @param seenIndexes file names of indexes that were in the store a while ago
 */
export async function lookForPacks(replica: Pick<Replica, 'gitDir' | 'exclusively'>, seenIndexes: ReadonlySet<string>, problems: Problems): Promise<PackDirectory> {
  const first = await readPackDirectory(replica.gitDir);
  const isOdd = (packs: PackDirectory) => packs.withoutIndex.length + packs.withoutPack.length > 0;
  const packs = isOdd(first) ? await replica.exclusively(() => readPackDirectory(replica.gitDir)) : first;
  for (const name of packs.withoutIndex) problems.add('corrupt', `${name}.pack has no index`);
  for (const name of packs.withoutPack) problems.add('corrupt', `${name}.idx has no pack`);
  const names = new Set([...packs.packs.map((pack) => pack.name), ...packs.withoutIndex, ...packs.withoutPack].map((name) => `${name}.idx`));
  for (const index of seenIndexes) if (/^pack-/.test(index) && !names.has(index)) problems.add('corrupt', `${index} and its pack have gone`);
  return packs;
}
