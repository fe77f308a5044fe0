import { existsSync, linkSync, mkdirSync, renameSync } from 'node:fs';
import { mkdir, open, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { packDirectory } from '../git/pack-directory.ts';
import { damagedRoot, incomingDirectory, syncPath } from '../repository/layout.ts';

/** More files than this are brought to the disk by one flush of the file system instead of an fsync each. */
const MAX_SYNCS = 32;
/** git takes notice of a pack by its index, and must find the rest there already. */
const SUFFIXES_IN_ORDER = ['.pack', '.rev', '.idx'];

/** Brings complete files of `incoming` to the disk: what has its name in the store must never be torn. */
export async function makeDurable(gitDir: string, files: readonly string[], flush: () => Promise<void>): Promise<void> {
  if (files.length > MAX_SYNCS) return flush();
  for (const file of files) await syncPath(join(incomingDirectory(gitDir), file));
}

/**
 * Moves files that are durable from `incoming` into the store. A file of that name which is there already is damaged or no
 * worse than the new one; it stays under `damaged/<job>`, and at no moment is there none.
 * @throws TrivetError disk_failure; the next call goes on from there
 */
export async function install(gitDir: string, files: readonly string[], job: string): Promise<void> {
  const [from, to] = [incomingDirectory(gitDir), packDirectory(gitDir)];
  try {
    await mkdir(to, { recursive: true });
    for (const suffix of SUFFIXES_IN_ORDER) {
      for (const file of files) {
        if (!file.endsWith(suffix)) continue;
        keepOld(gitDir, file, job);
        renameSync(join(from, file), join(to, file));
      }
    }
    await syncPath(to);
  } catch (cause) {
    throw new TrivetError('disk_failure', { operation: 'move packs into the store' }, { cause });
  }
}

/** Moves every file of these packs out of the store, `damaged/<job>` being the place. */
export async function putAside(gitDir: string, names: readonly string[], job: string): Promise<void> {
  await moveFiles(packDirectory(gitDir), join(damagedRoot(gitDir), job), names);
}

/** Undoes `putAside`. */
export async function putBack(gitDir: string, names: readonly string[], job: string): Promise<void> {
  await moveFiles(join(damagedRoot(gitDir), job), packDirectory(gitDir), names);
}

/** How many objects a pack in the store has by its header, and how many bytes. */
export async function sizeOf(gitDir: string, name: string): Promise<{ objects: number; bytes: number }> {
  const file = await open(join(packDirectory(gitDir), `${name}.pack`), 'r');
  try {
    const { buffer } = await file.read(Buffer.alloc(4), 0, 4, 8);
    return { objects: buffer.readUInt32BE(0), bytes: (await file.stat()).size };
  } finally {
    await file.close();
  }
}

async function moveFiles(from: string, to: string, names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  try {
    await mkdir(to, { recursive: true });
    const files = (await readdir(from)).filter((file) => names.includes(file.slice(0, file.lastIndexOf('.'))));
    // The index leaves first, so that git never sees one whose pack is gone.
    for (const file of files.sort((a, b) => Number(b.endsWith('.idx')) - Number(a.endsWith('.idx')))) {
      await rename(join(from, file), join(to, file));
    }
    await syncPath(from);
    await syncPath(to);
  } catch (cause) {
    throw new TrivetError('disk_failure', { operation: 'set packs aside' }, { cause });
  }
}

function keepOld(gitDir: string, file: string, job: string): void {
  const old = join(packDirectory(gitDir), file);
  if (!existsSync(old)) return;
  const aside = join(damagedRoot(gitDir), job);
  mkdirSync(aside, { recursive: true });
  try {
    linkSync(old, join(aside, file));
  } catch (error) {
    // Kept by an earlier attempt.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}
