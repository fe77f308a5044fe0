import { readdir } from 'node:fs/promises';
import { readMultiPackIndex } from '../git/multi-pack-index.ts';
import { packDirectory, readPackDirectory, type Pack } from '../git/pack-directory.ts';
import type { Facts } from './due.ts';
import type { Weight } from './geometry.ts';
import { looseObjects } from './loose.ts';
import { readRetired } from './retired.ts';

/** A store as maintenance sees it. */
export interface Look {
  facts: Facts;
  /** The packs that may be combined: without those that somebody wants to stay as they are, and those that are to go. */
  packs: (Weight & { bytes: number })[];
  /** File names of the indexes of all packs, but for those that are to go. */
  indexes: string[];
}

/**
 * Looks at a store by the names and sizes of its files; no object is read.
 * @param nowMs the time of day
 * @throws TrivetError disk_failure when a directory can't be read; what the file system throws
 */
export async function lookAtStore(gitDir: string, nowMs: number): Promise<Look> {
  const { packs: all } = await readPackDirectory(gitDir);
  const [index, retired] = [await readMultiPackIndex(gitDir), await readRetired(gitDir)];
  const gone = new Set(retired?.gone);
  const packs = all.filter((pack) => !gone.has(pack.name)).map((pack) => ({ name: pack.name, bytes: pack.bytes, objects: objectsOf(pack) }));
  const kept = new Set((await readdir(packDirectory(gitDir))).filter((file) => file.endsWith('.keep')).map((file) => file.slice(0, -'.keep'.length)));
  const uncovered = packs.filter((pack) => index?.indexes.has(`${pack.name}.idx`) !== true);
  const objectsIn = (some: readonly Weight[]) => some.reduce((sum, pack) => sum + pack.objects, 0);
  const uncoveredObjects = objectsIn(uncovered);
  return {
    packs: packs.filter((pack) => !kept.has(pack.name)),
    indexes: packs.map((pack) => `${pack.name}.idx`),
    facts: {
      packs: packs.length - kept.size,
      loose: (await looseObjects(gitDir, 1)).length > 0,
      coveredObjects: objectsIn(packs) - uncoveredObjects,
      uncoveredObjects,
      uncoveredPacks: uncovered.length,
      bitmap: index?.bitmap ?? false,
      indexAgeMs: index === undefined ? 0 : nowMs - index.madeAtMs,
      retired: retired !== undefined,
    },
  };
}

/** How many objects a pack has, by the size of its index: gitformat-pack(5), but for offsets beyond 2 GiB. */
function objectsOf({ name, indexBytes }: Pack): number {
  const oidBytes = (name.length - 'pack-'.length) / 2;
  return Math.max(0, Math.floor((indexBytes - 8 - 256 * 4 - 2 * oidBytes) / (oidBytes + 8)));
}
