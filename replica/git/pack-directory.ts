import { readdirSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { TrivetError } from '@trivet/proto/errors.ts';

/** A pack with its index, as git would use it. */
export interface Pack {
  /** Without suffix: `pack-<digits>`. */
  name: string;
  bytes: number;
  indexBytes: number;
}

/** What a repository's object directory holds, by file names and sizes alone. */
export interface PackDirectory {
  packs: Pack[];
  /** Packs without an index and indexes without a pack, by name: git sees neither. */
  withoutIndex: string[];
  withoutPack: string[];
  /** Whether there may be objects that the packs above don't hold: loose ones, an alternate, a pack with an odd name. */
  loose: boolean;
}

/** The names git gives; also what may become a part of a path. */
export const PACK_NAME = /^pack-[0-9a-f]{40,64}$/;

/** Files looked at before others get their turn: about 2 ms. */
const FILES_PER_TURN = 512;

export function packDirectory(gitDir: string): string {
  return join(gitDir, 'objects', 'pack');
}

/** @throws TrivetError disk_failure when a directory is there and can't be read */
export async function readPackDirectory(gitDir: string): Promise<PackDirectory> {
  const directory = packDirectory(gitDir);
  const files = new Set(await namesIn(directory));
  const result: PackDirectory = { packs: [], withoutIndex: [], withoutPack: [], loose: await hasLooseObjects(gitDir) };
  let looked = 0;
  for (const file of [...files].sort()) {
    const name = file.replace(/\.(pack|idx)$/, '');
    if (name === file) continue;
    const isPack = file.endsWith('.pack');
    if (!files.has(isPack ? `${name}.idx` : `${name}.pack`)) {
      if (PACK_NAME.test(name)) (isPack ? result.withoutIndex : result.withoutPack).push(name);
      continue;
    }
    if (!isPack) continue;
    if (!PACK_NAME.test(name)) {
      result.loose = true;
      continue;
    }
    const pack = statSync(join(directory, file), { throwIfNoEntry: false });
    const index = statSync(join(directory, `${name}.idx`), { throwIfNoEntry: false });
    // Gone since the directory was read: then it isn't there.
    if (pack !== undefined && index !== undefined) result.packs.push({ name, bytes: pack.size, indexBytes: index.size });
    if (++looked % FILES_PER_TURN === 0) await setImmediate();
  }
  return result;
}

async function hasLooseObjects(gitDir: string): Promise<boolean> {
  const objects = join(gitDir, 'objects');
  const fanOut = (await namesIn(objects)).filter((name) => /^[0-9a-f]{2}$/.test(name));
  if (fanOut.some((name) => readdirSync(join(objects, name)).length > 0)) return true;
  return (await namesIn(join(objects, 'info'))).includes('alternates');
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new TrivetError('disk_failure', { operation: 'list objects' }, { cause: error });
  }
}
