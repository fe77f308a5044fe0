import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { packDirectory } from './pack-directory.ts';
import { readTrailer, type Trailer } from './trailer.ts';

/** What is sound of a pack's two files. */
export interface ExaminedPack {
  name: string;
  /** The pack's checksum, when every byte of the pack is as it was written. */
  checksum: string | undefined;
  /** Whether the index is as it was written, and this pack's. */
  indexSound: boolean;
}

/**
 * Reads every byte of a pack and of its index. A file that is not there, or can't be read because its sector is bad, is not
 * sound.
 * @throws the signal's reason
 */
export async function examinePack(gitDir: string, name: string, format: ObjectFormat, signal: AbortSignal): Promise<ExaminedPack> {
  const path = join(packDirectory(gitDir), name);
  const pack = await trailerOf(`${path}.pack`, format, signal);
  const index = await trailerOf(`${path}.idx`, format, signal);
  const checksum = pack.sound ? pack.checksum : undefined;
  // Without a sound pack, the name says which pack the index belongs to: git names a pack after its checksum.
  const belongs = index.before === (checksum ?? name.slice('pack-'.length));
  return { name, checksum, indexSound: index.sound && belongs };
}

/**
 * The files beside packs that git believes and that aren't as they were written: reverse indexes, bitmaps, indexes over
 * several packs. `git fsck` before 2.41 looks at none of them. git works without each.
 */
export async function unsoundSideFiles(gitDir: string, format: ObjectFormat, signal: AbortSignal): Promise<string[]> {
  const directory = packDirectory(gitDir);
  const files = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const unsound: string[] = [];
  for (const file of files.filter((name) => /\.(rev|bitmap|mtimes)$|^multi-pack-index$/.test(name)).sort()) {
    const trailer = await trailerOf(join(directory, file), format, signal);
    const pack = /^pack-([0-9a-f]+)\.rev$/.exec(file)?.[1];
    if (!trailer.sound || (pack !== undefined && trailer.before !== pack)) unsound.push(file);
  }
  return unsound;
}

async function trailerOf(path: string, format: ObjectFormat, signal: AbortSignal): Promise<Trailer> {
  try {
    return await readTrailer(path, format, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (!['ENOENT', 'EIO', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    return { sound: false, checksum: '', before: '' };
  }
}
