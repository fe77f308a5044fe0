import { open, readFile, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { syncPath } from './layout.ts';

// Small files that are written as a whole. Everything here throws what the file system throws.

/** Undefined when there is no such file. */
export async function readTextIfThere(path: string): Promise<string | undefined> {
  return readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}

/** Makes a file that isn't there yet. What is in it is on the disk afterwards; its name is when its directory was synced. */
export async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Writes a file or puts it in the place of another. After a crash at any point it is the old one or the new one, whole. */
export async function replaceDurably(path: string, text: string): Promise<void> {
  await rm(`${path}.new`, { force: true });
  await writeDurably(`${path}.new`, text);
  await rename(`${path}.new`, path);
  await syncPath(dirname(path));
}
