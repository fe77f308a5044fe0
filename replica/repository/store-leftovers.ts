import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { packDirectory, PACK_NAME } from '../git/pack-directory.ts';
import { readTrailer } from '../git/trailer.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';
import { quarantineRoot, syncPath } from './layout.ts';

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

/**
 * Ends what a crash broke off between the two renames that move a pack out of quarantine: its index is still there, and goes
 * where it was to go. The push is forgotten, but nothing is deleted that may be needed; and a pack without an index that is
 * left after this was robbed of it. Before quarantines are removed.
 */
export async function finishMoves(gitDir: string, objectFormat: ObjectFormat): Promise<void> {
  const packs = packDirectory(gitDir);
  const files = new Set(await namesIn(packs));
  const lonely = new Set([...files].filter((file) => file.endsWith('.pack') && !files.has(`${file.slice(0, -5)}.idx`)).map((file) => file.slice(0, -5)));
  if (lonely.size === 0) return;
  const root = quarantineRoot(gitDir);
  if (!existsSync(root)) return;
  for (const file of await readdir(root, { recursive: true })) {
    if (!file.endsWith('.idx')) continue;
    const { sound, before } = await readTrailer(join(root, file), objectFormat);
    const name = `pack-${before}`;
    if (!sound || !PACK_NAME.test(name) || !lonely.delete(name)) continue;
    await rename(join(root, file), join(packs, `${name}.idx`));
  }
  await syncPath(packs);
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
