import { closeSync, fsync, mkdirSync, open, openSync, renameSync, writeSync } from 'node:fs';
import { link, mkdir, readdir, rename, rm, rmdir, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { WrittenPack } from './pack-writer.ts';

/** The files of a quarantine, all of them on disk for good when this is made. */
export interface QuarantineFiles {
  /** The file names that the pack's indexes have in the store: all of them once `moveTo` has been called. */
  readonly indexes: readonly string[];
  /**
   * Moves the packs to `packDirectory` and waits until their names are on disk. After a failure some files may have
   * been moved: a pack without its index is invisible to git, and the next call goes on from there.
   */
  moveTo(packDirectory: string): Promise<void>;
  /** A directory in the layout of an object directory, for a git that has to see the objects; until `remove`. */
  objectDirectory(): Promise<string>;
  /** Removes whatever has not been moved. */
  remove(): Promise<void>;
}

/** What git has written: an object directory. */
export class DirectoryFiles implements QuarantineFiles {
  readonly #directory: string;
  #indexes: string[] = [];

  constructor(directory: string) {
    this.#directory = directory;
  }

  get indexes(): readonly string[] {
    return this.#indexes;
  }

  async moveTo(packDirectory: string): Promise<void> {
    const from = packDirectoryOf(this.#directory);
    const files = await readdir(from);
    this.#indexes = [...new Set([...this.#indexes, ...files.filter((file) => file.endsWith('.idx'))])];
    for (const suffix of SUFFIXES_IN_ORDER) {
      // Another push may have brought the same pack: then this replaces a file by an equal one.
      for (const file of files) if (file.endsWith(suffix)) await rename(join(from, file), join(packDirectory, file));
    }
    await syncDirectory(packDirectory);
  }

  async objectDirectory(): Promise<string> {
    return this.#directory;
  }

  async remove(): Promise<void> {
    await removeQuarantine(this.#directory);
  }
}

/**
 * One pack and its index, as `<path>.pack` and `<path>.idx`: no directory is made for them. Creating, filling and
 * renaming a file are done at once, for all that happens in memory; only waiting for the disk is left to the thread
 * pool.
 */
export class FlatFiles implements QuarantineFiles {
  readonly indexes: readonly string[];
  readonly #path: string;
  readonly #name: string;
  /** Of `SUFFIXES`, what has not been moved yet. */
  #held: readonly string[] = SUFFIXES;
  #hasDirectory = false;

  private constructor(path: string, name: string) {
    this.#path = path;
    this.#name = `pack-${name}`;
    this.indexes = [`${this.#name}.idx`];
  }

  /** Writes a pack and waits until it is on disk. Leaves nothing when that fails. Throws `disk_failure`. */
  static async write(path: string, { name, pack, index }: WrittenPack): Promise<FlatFiles> {
    const files = new FlatFiles(path, name);
    try {
      await onDisk('write pack', () => allDone([
        writeDurably(`${path}.pack`, pack),
        writeDurably(`${path}.idx`, index),
      ]));
    } catch (error) {
      await files.remove();
      throw error;
    }
    return files;
  }

  async moveTo(packDirectory: string): Promise<void> {
    for (const suffix of this.#held) {
      renameSync(`${this.#path}${suffix}`, join(packDirectory, `${this.#name}${suffix}`));
      this.#held = this.#held.slice(1);
    }
    await syncDirectory(packDirectory);
  }

  async objectDirectory(): Promise<string> {
    if (!this.#hasDirectory) {
      const directory = packDirectoryOf(this.#path);
      this.#hasDirectory = true;
      await onDisk('link pack', async () => {
        await mkdir(directory, { recursive: true });
        for (const suffix of SUFFIXES) await link(`${this.#path}${suffix}`, join(directory, `${this.#name}${suffix}`));
      });
    }
    return this.#path;
  }

  async remove(): Promise<void> {
    const held = this.#held;
    this.#held = [];
    await onDisk('remove quarantine', () => allDone(held.map((suffix) => unlinkIfThere(`${this.#path}${suffix}`))));
    if (this.#hasDirectory) await removeQuarantine(this.#path);
  }
}

/** Makes a new quarantine directory in the layout of an object directory. Throws `disk_failure`. */
export async function createQuarantine(directory: string): Promise<void> {
  await onDisk('create quarantine', () => mkdir(packDirectoryOf(directory), { recursive: true }));
}

/** Removes a quarantine directory with all that is in it. Throws `disk_failure`. */
export async function removeQuarantine(directory: string): Promise<void> {
  try {
    // After a migration only the two directories are left.
    await rmdir(packDirectoryOf(directory));
    await rmdir(directory);
  } catch {
    await onDisk('remove quarantine', () => rm(directory, { recursive: true, force: true }));
  }
}

/** Where the packs of an object directory lie. */
export function packDirectoryOf(directory: string): string {
  return join(directory, 'pack');
}

/** Rejects with `disk_failure` in place of what the file system throws. */
export async function onDisk<T>(operation: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new TrivetError('disk_failure', { operation }, { cause });
  }
}

/** The index goes last: git takes notice of a pack by its index, and must find the rest there already. */
const SUFFIXES_IN_ORDER = ['.pack', '.rev', '.idx'];
const SUFFIXES = ['.pack', '.idx'];

// Not the FileHandle of fs/promises: with three of them for every push, its overhead shows.
const openFile = promisify(open);
const syncFile = promisify(fsync);

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = create(path);
  try {
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    await syncFile(file);
  } finally {
    closeSync(file);
  }
}

/** The directory is there but for a repository's first push. */
function create(path: string): number {
  try {
    return openSync(path, 'wx', 0o444);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    mkdirSync(dirname(path), { recursive: true });
    return openSync(path, 'wx', 0o444);
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await openFile(path, 'r');
  try {
    await syncFile(directory);
  } finally {
    closeSync(directory);
  }
}

async function unlinkIfThere(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

/** Waits for all, and only then rejects if one did: nothing goes on behind the back of who cleans up. */
async function allDone(actions: readonly Promise<unknown>[]): Promise<void> {
  for (const result of await Promise.allSettled(actions)) if (result.status === 'rejected') throw result.reason;
}
