import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { packDirectory } from '../git/pack-directory.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';

/** What `git fetch` writes into a `.keep` that it means to remove; whoever else made one wants it to stay. */
const KEPT_BY_FETCH = /^fetch-pack /;

/**
 * Removes what killed gits have left in a store: unfinished packs and objects, as large as what was fetched, and the marks that
 * keep a pack from being combined with others. Only while no git of this node writes into the store.
 * @throws TrivetError disk_failure
 */
export async function removeUnfinished(gitDir: string): Promise<void> {
  try {
    await remove(gitDir);
  } catch (error) {
    throw asDiskFailure(error);
  }
}

async function remove(gitDir: string): Promise<void> {
  const objects = join(gitDir, 'objects');
  const packs = packDirectory(gitDir);
  for (const directory of [objects, packs]) {
    for (const name of await namesIn(directory)) {
      if (name.startsWith('tmp_')) await rm(join(directory, name), { recursive: true, force: true });
    }
  }
  for (const fanOut of await namesIn(objects)) {
    if (!/^[0-9a-f]{2}$/.test(fanOut)) continue;
    for (const name of await namesIn(join(objects, fanOut))) if (name.startsWith('tmp_obj_')) await rm(join(objects, fanOut, name), { force: true });
  }
  for (const name of await namesIn(packs)) {
    if (name.endsWith('.keep') && KEPT_BY_FETCH.test(await readFile(join(packs, name), 'latin1'))) await rm(join(packs, name), { force: true });
  }
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw error;
  }
}
