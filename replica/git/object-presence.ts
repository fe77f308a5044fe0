import { close, open, read } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TrivetError } from '@trivet/proto/errors.ts';
import { oidLength, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { IdPrefixSet, PREFIX_BYTES, SortedIdPrefixes } from './id-prefixes.ts';

/** A pack of more objects gets an array of its own; the many small ones share one table. */
const LARGE_PACK_OBJECTS = 4096;
/** How much of an index is read at once: bounds for how long the event loop waits, less than 1 ms. */
const CHUNK_BYTES = 1024 * 1024;
const FILES_AT_ONCE = 8;

// gitformat-pack(5), version 2 of the index.
const HEADER_BYTES = 8 + 256 * 4;

/**
 * Which objects may be in one repository's store, so that git is not asked for those that aren't: for every id it does
 * not find, `git cat-file` reads the directory of packs again, which takes the longer the more packs there are.
 *
 * A filter, never a proof: it holds four bytes of each id. *False* is certain. *True* means that git must be asked.
 *
 * States: *unread* (nothing in memory; the next question reads all pack indexes), *read* (complete, but for the packs
 * in `#unread` and what others did to the store since). Whoever adds a pack tells `add` or `refresh`; whoever removes
 * objects need not, because a true is asked about anyway. While there are loose objects, alternates or indexes of an
 * unknown form, every answer is true.
 */
export class ObjectPresence {
  readonly #gitDir: string;
  readonly #oidBytes: number;
  readonly #maxBytes: number;
  #table: Table | undefined;
  /** Packs that have come since, by the file name of their index. */
  readonly #unread = new Set<string>();
  /** File names of indexes that were in the store, and have not gone as far as this process knows. */
  #seen = new Set<string>();
  /** Those that have gone since the reading that runs has begun: it may still find them. */
  readonly #goneMeanwhile = new Set<string>();
  /** Rises with every `refresh`; a reading is complete as of the count at its start. */
  #changes = 0;
  #readAsOf = 0;
  #reading: Promise<void> | undefined;

  /** @param maxBytes of memory; with more objects than fit there, every answer is true */
  constructor(gitDir: string, objectFormat: ObjectFormat, maxBytes: number) {
    this.#gitDir = gitDir;
    this.#oidBytes = oidLength(objectFormat) / 2;
    this.#maxBytes = maxBytes;
  }

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.#table === undefined ? 0 : bytesOf(this.#table);
  }

  /** File names of indexes that were in the store, without those that `replaced` named; empty while nothing is in memory. */
  get indexes(): ReadonlySet<string> {
    return this.#seen;
  }

  /**
   * For each id in the order asked: false when no such object is in the store, true when there may be one.
   * Throws `disk_failure` when the directories can't be read.
   */
  async mayHave(oids: readonly Oid[]): Promise<boolean[]> {
    if (oids.length === 0) return [];
    for (;;) {
      const table = this.#table;
      if (table !== undefined && this.#unread.size === 0 && this.#readAsOf === this.#changes) {
        return oids.map((oid) => {
          const prefix = prefixOf(oid);
          return table.unsure || table.recent.has(prefix) || table.large.some((ids) => ids.has(prefix));
        });
      }
      this.#reading ??= this.#read().finally(() => {
        this.#reading = undefined;
        this.#goneMeanwhile.clear();
      });
      await this.#reading;
    }
  }

  /**
   * Takes note of a pack that is in the store now, or may soon be.
   * @param index the file name of its index
   * @param oids what is in it; without that the index is read before the next answer
   */
  add(index: string, oids?: Iterable<Oid>): void {
    // A reading that has begun may have missed it.
    if (oids === undefined || this.#reading !== undefined) {
      this.#unread.add(index);
      return;
    }
    const table = this.#table;
    if (table === undefined) return;
    table.indexes.add(index);
    this.#seen.add(index);
    for (const oid of oids) table.recent.add(prefixOf(oid));
    if (bytesOf(table) > this.#maxBytes) table.unsure = true;
  }

  /** For when something else has added to the store: looks again before the next answer. */
  refresh(): void {
    this.#changes += 1;
  }

  /** Other packs have taken the place of some, objects and all: those may be gone, these must be there. File names of indexes. */
  replaced(gone: readonly string[], come: readonly string[]): void {
    for (const index of gone) {
      this.#seen.delete(index);
      this.#unread.delete(index);
      if (this.#reading !== undefined) this.#goneMeanwhile.add(index);
    }
    if (this.#table !== undefined) for (const index of come) this.#seen.add(index);
    this.refresh();
  }

  /** Gives the memory back; the next question reads the indexes again. */
  unload(): void {
    this.#table = undefined;
    this.#seen = new Set();
  }

  async #read(): Promise<void> {
    const asOf = this.#changes;
    if (this.#table === undefined || this.#readAsOf !== asOf) {
      const { indexes, unsure } = await lookAt(this.#gitDir);
      const kept = this.#table;
      // Anew when an index has gone: only so does memory shrink after the packs have been combined.
      const goOn = kept !== undefined && !kept.unsure && indexes.isSupersetOf(kept.indexes);
      const next = goOn ? kept : emptyTable();
      next.unsure = unsure;
      await this.#readInto(next, indexes);
      this.#table = next;
      this.#readAsOf = asOf;
    } else {
      const unread = [...this.#unread];
      await this.#readInto(this.#table, new Set(unread));
      for (const index of unread) this.#unread.delete(index);
      // One of them isn't there, because its migration failed half-way: what is, the directory knows.
      if (this.#table?.unsure) this.refresh();
    }
  }

  /** What cannot be read makes the table unsure: git knows what to do with it. */
  async #readInto(table: Table, indexes: ReadonlySet<string>): Promise<void> {
    const waiting = indexes.difference(table.indexes).values();
    const readSome = async (): Promise<void> => {
      for (const index of waiting) {
        if (table.unsure) return;
        try {
          await readIndex(join(this.#gitDir, 'objects', 'pack', index), this.#oidBytes, table, this.#maxBytes);
          table.indexes.add(index);
          if (!this.#goneMeanwhile.has(index)) this.#seen.add(index);
        } catch {
          table.unsure = true;
        }
      }
    };
    await Promise.all(Array.from({ length: FILES_AT_ONCE }, readSome));
    if (table.unsure) Object.assign(table, emptyTable(), { unsure: true });
  }
}

interface Table {
  /** File names of the indexes whose ids are here. */
  indexes: Set<string>;
  recent: IdPrefixSet;
  large: SortedIdPrefixes[];
  /** Every answer is true. */
  unsure: boolean;
}

const openFile = promisify(open);
const readFile = promisify(read);
const closeFile = promisify(close);

function emptyTable(): Table {
  return { indexes: new Set(), recent: new IdPrefixSet(), large: [], unsure: false };
}

function bytesOf(table: Table): number {
  return table.large.reduce((sum, ids) => sum + ids.bytes, table.recent.bytes);
}

/** The indexes git would use, and whether there may be objects in no index. */
async function lookAt(gitDir: string): Promise<{ indexes: Set<string>; unsure: boolean }> {
  const objects = join(gitDir, 'objects');
  const [names, info, packs] = await Promise.all(['', 'info', 'pack'].map((name) => namesIn(join(objects, name))));
  const files = new Set(packs);
  // An index without its pack is nothing to git.
  const indexes = files.values().filter((file) => file.endsWith('.idx') && files.has(`${file.slice(0, -4)}.pack`));
  const hasLoose = names!.some((name) => /^[0-9a-f]{2}$/.test(name));
  return { indexes: new Set(indexes), unsure: hasLoose || info!.includes('alternates') };
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new TrivetError('disk_failure', { operation: 'list objects' }, { cause: error });
  }
}

/** Adds the ids of an index to a table. Throws what the file system throws, and RangeError for an unknown form. */
async function readIndex(path: string, oidBytes: number, table: Table, maxBytes: number): Promise<void> {
  const file = await openFile(path, 'r');
  try {
    // The whole of a small index, which most are.
    let chunk = Buffer.allocUnsafe(16 * 1024);
    const { bytesRead } = await readFile(file, chunk, 0, chunk.length, 0);
    if (bytesRead < HEADER_BYTES || chunk.readUInt32BE(0) !== 0xff744f63 || chunk.readUInt32BE(4) !== 2) {
      throw new RangeError('not an index of version 2');
    }
    const count = chunk.readUInt32BE(HEADER_BYTES - 4);
    if (bytesOf(table) + count * PREFIX_BYTES > maxBytes) throw new RangeError('too many objects');
    let target: IdPrefixSet | SortedIdPrefixes = table.recent;
    if (count > LARGE_PACK_OBJECTS) {
      target = new SortedIdPrefixes(count);
      table.large.push(target);
    }
    let chunkAt = 0;
    let chunkEnd = bytesRead;
    for (let i = 0; i < count; i++) {
      const at = HEADER_BYTES + i * oidBytes;
      if (at + oidBytes > chunkEnd) {
        if (chunk.length < CHUNK_BYTES) chunk = Buffer.allocUnsafe(CHUNK_BYTES);
        const more = await readFile(file, chunk, 0, chunk.length, at);
        if (more.bytesRead < oidBytes) throw new RangeError('index too short');
        chunkAt = at;
        chunkEnd = at + more.bytesRead;
      }
      target.add(chunk.readUInt32BE(at - chunkAt));
    }
  } finally {
    await closeFile(file);
  }
}

function prefixOf(oid: Oid): number {
  return Number.parseInt(oid.slice(0, PREFIX_BYTES * 2), 16);
}
