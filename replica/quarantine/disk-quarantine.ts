import { join } from 'node:path';
import type { Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { onDisk, packDirectoryOf, type QuarantineFiles } from './quarantine-files.ts';

/** A push's objects, complete and checked, beside the object store and not yet in it. */
export interface Quarantine {
  /** Of the tips the push was taken in with; undefined for any other object. */
  typeOf(oid: Oid): ObjectType | undefined;
  /**
   * A directory that shows the objects to git as an alternate, until they are migrated or discarded; undefined when
   * the push brought none. Throws `disk_failure`.
   */
  objectDirectory(): Promise<string | undefined>;
  /**
   * Moves the pack into the object store. When it resolves, the pack, its index and its name are on disk for good, and
   * nothing is left in the quarantine. A second call does nothing. Throws `disk_failure`, and may be called again
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
  /** Undefined when nothing was pushed but the names of what is there already. */
  files: QuarantineFiles | undefined;
  tips: ReadonlyMap<Oid, ObjectType>;
  objects: number;
  bytes: number;
  /** Told after every attempt to move the files, with the names of the indexes that may be in the store now. */
  onMoved(indexes: readonly string[]): void;
  /** Told once, after the objects have become a part of the store. */
  onMigrated(): void;
}

/**
 * States: *held* (files in the quarantine, on disk already: they are synced while the push is voted on, because later
 * it holds up the repository's turn), *migrated*, *discarded*. A failed migration stays held, with some files perhaps
 * moved; the next attempt goes on from there.
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

  async objectDirectory(): Promise<string | undefined> {
    return this.#parts.files?.objectDirectory();
  }

  migrate(): Promise<void> {
    return this.#inTurn(async () => {
      const { gitDir, files, onMoved, onMigrated } = this.#parts;
      if (this.#state === 'discarded') throw new Error('a discarded quarantine cannot be migrated');
      if (this.#state === 'migrated') return;
      if (files !== undefined) {
        try {
          await onDisk('migrate', () => files.moveTo(packDirectoryOf(join(gitDir, 'objects'))));
        } finally {
          onMoved(files.indexes);
        }
      }
      this.#state = 'migrated';
      onMigrated();
      await files?.remove();
    });
  }

  discard(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#state === 'held') this.#state = 'discarded';
      await this.#parts.files?.remove();
    });
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const turn = this.#last.then(action);
    this.#last = turn.catch(() => {});
    return turn;
  }
}
