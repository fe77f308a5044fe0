import { open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { oidLength, OBJECT_FORMATS } from '@trivet/proto/object-format.ts';
import { packDirectory } from '../git/pack-directory.ts';
import { quarantineRoot, syncPath } from '../repository/layout.ts';

/**
 * Finishes what a crash stopped between the two renames of a migration: the pack is in the store, its index still in the
 * quarantine. Both were on the disk before the vote, and all that the pack's objects name was in the store, so it does no
 * harm there; without its index it would be taken for damaged. Only for a node that is starting, before quarantines are
 * emptied.
 * @returns how many indexes were moved
 */
export async function finishMigrations(gitDir: string): Promise<number> {
  const root = quarantineRoot(gitDir);
  const indexes = (await readdirOrEmpty(root, true)).filter((path) => path.endsWith('.idx'));
  if (indexes.length === 0) return 0;
  const store = packDirectory(gitDir);
  const files = new Set(await readdirOrEmpty(store, false));
  let moved = 0;
  for (const path of indexes) {
    const name = (await packsNamedBy(join(root, path))).find((pack) => files.has(`${pack}.pack`) && !files.has(`${pack}.idx`));
    if (name === undefined) continue;
    await rename(join(root, path), join(store, `${name}.idx`));
    moved += 1;
  }
  if (moved > 0) await syncPath(store);
  return moved;
}

/** What the pack of an index would be called: its checksum stands before the index's own (gitformat-pack(5)). */
async function packsNamedBy(path: string): Promise<string[]> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    return await Promise.all(OBJECT_FORMATS.map(async (format) => {
      const bytes = oidLength(format) / 2;
      const { buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, Math.max(0, size - 2 * bytes));
      return `pack-${buffer.toString('hex')}`;
    }));
  } finally {
    await file.close();
  }
}

async function readdirOrEmpty(path: string, recursive: boolean): Promise<string[]> {
  try {
    return await readdir(path, { recursive });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
