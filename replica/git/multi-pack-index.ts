import { open, readdir, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { packDirectory } from './pack-directory.ts';
import { runGit } from './process.ts';

/** What git has noted of several packs together. */
export interface MultiPackIndex {
  /** File names of the indexes it covers. */
  indexes: ReadonlySet<string>;
  /** Whether it says as well which objects each of many commits reaches. */
  bitmap: boolean;
  madeAtMs: number;
}

const FILE = 'multi-pack-index';
/** More names of packs than a store has before it is maintained. */
const MAX_NAMES_BYTES = 8 * 1024 * 1024;
// gitformat-pack(5), "multi-pack-index (MIDX) files".
const HEADER_BYTES = 12;
const CHUNK_BYTES = 12;
const PACK_NAMES = 0x504e414d;

/** Undefined when there is none, or none that this program can read: git then works without it as well. */
export async function readMultiPackIndex(gitDir: string): Promise<MultiPackIndex | undefined> {
  const file = await open(join(packDirectory(gitDir), FILE), 'r').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  try {
    const names = await readNames(file);
    if (names === undefined) return undefined;
    const bitmap = (await readdir(packDirectory(gitDir))).some((name) => name.startsWith(`${FILE}-`) && name.endsWith('.bitmap'));
    return { indexes: new Set(names), bitmap, madeAtMs: (await file.stat()).mtimeMs };
  } finally {
    await file.close();
  }
}

/**
 * Writes an index over these packs, with bitmaps where it can be: as long as the packs have all that their commits reach.
 * What was there is replaced at once. Durable but for the directory.
 * @param indexes file names
 * @param preferred the one whose copy of an object counts where there are several
 * @throws TrivetError git_failed; the signal's reason
 */
export async function writeMultiPackIndex(gitDir: string, indexes: readonly string[], preferred: string, signal: AbortSignal): Promise<void> {
  const args = ['-c', 'core.fsync=pack-metadata', '-c', 'core.fsyncMethod=fsync', '-c', 'pack.threads=1',
    'multi-pack-index', 'write', '--stdin-packs', '--bitmap', `--preferred-pack=${preferred}`, '--no-progress'];
  await runGit(args, { gitDir, signal, priority: 'low', input: indexes.map((index) => `${index}\n`).join('') });
}

/** Takes it away with its bitmaps, and the lock of a git that was killed: the packs say all that it said. */
export async function dropMultiPackIndex(gitDir: string): Promise<void> {
  const directory = packDirectory(gitDir);
  const names = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  // The index first: bitmaps without it are nothing to git, it without them is whole.
  for (const name of names.filter((other) => other.startsWith(FILE)).sort()) await rm(join(directory, name), { force: true });
}

async function readNames(file: FileHandle): Promise<string[] | undefined> {
  const header = await readAll(file, 0, HEADER_BYTES);
  if (header?.toString('latin1', 0, 4) !== 'MIDX') return undefined;
  const chunks = await readAll(file, HEADER_BYTES, (header[6]! + 1) * CHUNK_BYTES);
  if (chunks === undefined) return undefined;
  for (let at = 0; at + 2 * CHUNK_BYTES <= chunks.length; at += CHUNK_BYTES) {
    if (chunks.readUInt32BE(at) !== PACK_NAMES) continue;
    const [from, to] = [Number(chunks.readBigUInt64BE(at + 4)), Number(chunks.readBigUInt64BE(at + CHUNK_BYTES + 4))];
    if (!(to >= from && to - from <= MAX_NAMES_BYTES)) return undefined;
    const names = await readAll(file, from, to - from);
    return names?.toString('latin1').split('\0').filter((name) => name !== '');
  }
  return undefined;
}

/** Undefined when the file ends before. */
async function readAll(file: FileHandle, from: number, bytes: number): Promise<Buffer | undefined> {
  const { bytesRead, buffer } = await file.read(Buffer.alloc(bytes), 0, bytes, from);
  return bytesRead === bytes ? buffer : undefined;
}
