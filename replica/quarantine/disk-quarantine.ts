import { closeSync, fsync, open, writeSync } from 'node:fs';
import { mkdir, readdir, rename, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import type { WrittenPack } from './pack-writer.ts';

/** A push's objects, complete and checked, beside the object store and not yet in it. */
export interface Quarantine {
  /** Of the tips the push was taken in with; undefined for any other object. */
  typeOf(oid: Oid): ObjectType | undefined;
  /**
   * Moves the pack into the object store. When it resolves, the pack, its index and its name are on disk for good, and
   * the quarantine's directory is gone. A second call does nothing. Throws `disk_failure`, and may be called again
   * then; after `discard` it throws, because the objects are gone.
   */
  migrate(): Promise<void>;
  /** Removes everything that was not migrated. A second call changes nothing. Throws `disk_failure`. */
  discard(): Promise<void>;
  /** How many objects were pushed. */
  readonly objects: number;
  /** Bytes of the pack as it was pushed. */
  readonly bytes: number;
}

/** What a quarantine is made of. */
export interface QuarantineParts {
  gitDir: string;
  /** An object directory in git's layout; undefined when nothing was pushed but the names of what is there already. */
  directory: string | undefined;
  tips: ReadonlyMap<Oid, ObjectType>;
  objects: number;
  bytes: number;
  /** Told once, after the objects have become a part of the store. */
  onMigrated(): void;
}

/**
 * States: *held* (files in the quarantine, on disk already: they are synced while the push is voted on, because later
 * it holds up the repository's turn), *migrated*, *discarded*. A failed migration stays held, with some files perhaps
 * moved: a pack without its index is invisible to git, so that does no harm, and the next attempt goes on from there.
 */
export class DiskQuarantine implements Quarantine {
  readonly objects: number;
  readonly bytes: number;
  readonly #parts: QuarantineParts;
  #state: 'held' | 'migrated' | 'discarded' = 'held';
  /** Migrations and discards run one after another. */
  #last: Promise<void> = Promise.resolve();

  constructor(parts: QuarantineParts) {
    this.#parts = parts;
    this.objects = parts.objects;
    this.bytes = parts.bytes;
  }

  typeOf(oid: Oid): ObjectType | undefined {
    return this.#parts.tips.get(oid);
  }

  migrate(): Promise<void> {
    return this.#inTurn(async () => {
      const { gitDir, directory, onMigrated } = this.#parts;
      if (this.#state === 'discarded') throw new Error('a discarded quarantine cannot be migrated');
      if (this.#state === 'migrated') return;
      if (directory !== undefined) {
        await onDisk('migrate', () => movePacks(packDirectory(directory), join(gitDir, 'objects', 'pack')));
      }
      this.#state = 'migrated';
      onMigrated();
      if (directory !== undefined) await removeQuarantine(directory);
    });
  }

  discard(): Promise<void> {
    return this.#inTurn(async () => {
      const { directory } = this.#parts;
      if (this.#state === 'held') this.#state = 'discarded';
      if (directory !== undefined) await removeQuarantine(directory);
    });
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }
}

/** Makes a new quarantine directory in the layout of an object directory. Throws `disk_failure`. */
export async function createQuarantine(directory: string): Promise<void> {
  await onDisk('create quarantine', () => mkdir(packDirectory(directory), { recursive: true }));
}

/** Writes a pack and its index into a quarantine and waits until both are on disk. Throws `disk_failure`. */
export async function writeToQuarantine(directory: string, { name, pack, index }: WrittenPack): Promise<void> {
  const path = join(packDirectory(directory), `pack-${name}`);
  await onDisk('write pack', () => Promise.all([
    writeDurably(`${path}.pack`, pack),
    writeDurably(`${path}.idx`, index),
  ]));
}

/** Removes a quarantine with all that is in it. Throws `disk_failure`. */
export async function removeQuarantine(directory: string): Promise<void> {
  try {
    // After a migration only the two directories are left.
    await rmdir(packDirectory(directory));
    await rmdir(directory);
  } catch {
    await onDisk('remove quarantine', () => rm(directory, { recursive: true, force: true }));
  }
}

/** Where the packs of a quarantine lie. */
export function packDirectory(directory: string): string {
  return join(directory, 'pack');
}

/** The index goes last: git takes notice of a pack by its index, and must find the rest there already. */
const SUFFIXES_IN_ORDER = ['.pack', '.rev', '.idx'];

async function movePacks(from: string, to: string): Promise<void> {
  const files = await readdir(from);
  for (const suffix of SUFFIXES_IN_ORDER) {
    // Another push may have brought the same pack: then this replaces a file by an equal one.
    for (const file of files) if (file.endsWith(suffix)) await rename(join(from, file), join(to, file));
  }
  const directory = await openFile(to, 'r');
  try {
    await syncFile(directory);
  } finally {
    closeSync(directory);
  }
}

// Not the FileHandle of fs/promises: with five files and directories for every push, its overhead shows.
const openFile = promisify(open);
const syncFile = promisify(fsync);

async function writeDurably(path: string, bytes: Buffer): Promise<void> {
  const file = await openFile(path, 'wx', 0o444);
  try {
    // Into the page cache: what can wait for the disk is only the sync.
    for (let at = 0; at < bytes.length;) at += writeSync(file, bytes, at);
    await syncFile(file);
  } finally {
    closeSync(file);
  }
}

async function onDisk<T>(operation: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw new TrivetError('disk_failure', { operation }, { cause });
  }
}
