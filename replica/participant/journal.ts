import { crc32 } from 'node:zlib';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { RefChange } from '../refs/ref-store.ts';
import type { JournalDisk, JournalFile } from './journal-files.ts';

/** A generation together with the refs digest that goes with it. */
export interface Position {
  generation: number;
  digest: string;
}

/** The durable promise to commit a batch, with all that is needed to keep it after a crash. */
export interface PromiseRecord {
  kind: 'promise';
  repository: string;
  batch: string;
  transactions: string[];
  before: Position;
  after: Position;
  change: RefChange;
}

export type JournalRecord =
  | PromiseRecord
  | { kind: 'committed' | 'aborted'; repository: string; batch: string }
  /** The replica was made anew (repair) or taken away: earlier records of it no longer count. */
  | { kind: 'restart'; repository: string };

interface Waiting {
  text: string;
  durable: boolean;
  /** The repository whose earlier records this one ends. */
  restarts: string | undefined;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/** A file that the journal is to go on in. */
interface NextFile {
  file: JournalFile;
  outstanding: () => readonly PromiseRecord[];
  /** Called when the new file has what is outstanding. */
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * The node's journal of promises: one file for all repositories, so that promises made at the same time share an fsync.
 *
 * A line is the CRC-32 of a JSON text, a blank, and that text. What lies before a completed fsync is whole; behind it a
 * crash may leave anything, so reading stops at the first line that doesn't check.
 *
 * The journal is also what makes refs durable: nothing else fsyncs them. A file of the journal is therefore deleted
 * only after `flush` has brought everything its records did to the disk.
 *
 * - **sound**: records are appended.
 * - **wants a new file**: a write failed, as when the disk is full. The file may end torn, and nothing behind that would be
 *   read; so nothing is appended until `rotate` has gone on in a new one.
 * - **failed**: an fsync failed. The kernel may have dropped what it could not write and report nothing the next time, so
 *   nothing is promised any more until this node has been started again and has read what the disk really has.
 */
export class Journal {
  readonly #disk: JournalDisk;
  readonly #flush: () => Promise<void>;
  readonly #save: () => Promise<void>;
  #file: JournalFile | undefined;
  #sequence = 0;
  #bytes = 0;
  #queue: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #failure: { cause: unknown; final: boolean } | undefined;
  /** Whether a flush has failed: what older files did may not be on the disk, whatever a later flush says. */
  #mustKeepFiles = false;
  /** Where to go on once the group that is being written is on the disk. */
  #next: NextFile | undefined;
  /** By repository, records that go along into each new file until a `restart` record has ended them. */
  readonly #kept = new Map<string, JournalRecord[]>();

  /**
   * @param flush brings all that was written to this file system so far to the disk, as syncfs(2) does; it throws TrivetError
   *   disk_failure when that may have gone wrong, and anything else when it was not even tried
   * @param save writes what else must be on the disk before a file of the journal goes
   */
  constructor(disk: JournalDisk, flush: () => Promise<void>, save: () => Promise<void> = async () => {}) {
    this.#disk = disk;
    this.#flush = flush;
    this.#save = save;
  }

  /** Bytes in the present file. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether nothing can be promised at the moment: a write or an fsync has failed. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** Whether `rotate` would mend that, if the disk lets it. */
  get wantsNewFile(): boolean {
    return this.#failure?.final === false;
  }

  /** Everything on record, oldest first. Call once, before `rotate`. */
  async read(): Promise<JournalRecord[]> {
    const records: JournalRecord[] = [];
    for (const sequence of await this.#sequences()) {
      records.push(...parseJournal(await this.#disk.read(nameOf(sequence))));
      this.#sequence = sequence;
    }
    return records;
  }

  /**
   * Appends a record.
   * @param durable wait for the disk; without it the record is written soon, and may be lost in a crash
   * @throws TrivetError disk_failure; from then on every append fails, until `rotate` has gone on in a new file
   */
  append(record: JournalRecord, durable: boolean): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(diskFailure(this.#failure.cause));
    return new Promise((resolve, reject) => {
      const restarts = record.kind === 'restart' ? record.repository : undefined;
      this.#queue.push({ text: lineOf(record), durable, restarts, resolve, reject });
      this.#writing ??= this.#drain();
    });
  }

  /**
   * Keeps records of replicas that could not be brought in order: whatever file the journal goes on in has them too, until
   * a `restart` record says that such a replica was made anew. Call before `rotate`.
   */
  keep(records: readonly JournalRecord[]): void {
    for (const record of records) {
      const kept = this.#kept.get(record.repository) ?? [];
      this.#kept.set(record.repository, [...kept, record]);
    }
  }

  /**
   * Goes on in a new file that begins with what is outstanding, and deletes the older ones once all they did is on the
   * disk. A crash in between leaves both; reading them in order gives the same state.
   * Waits for one group of records at most, however many keep coming.
   * @param outstanding the promises without an outcome at the moment of the call, those still being written included
   * @throws TrivetError disk_failure, and what the disk throws; then the older files are all there
   */
  async rotate(outstanding: () => readonly PromiseRecord[]): Promise<void> {
    const old = await this.#sequences();
    this.#sequence += 1;
    const name = nameOf(this.#sequence);
    const file = await this.#disk.create(name);
    const previous = this.#file;
    try {
      await new Promise<void>((resolve, reject) => {
        if (this.#failure?.final) throw diskFailure(this.#failure.cause);
        this.#next = { file, outstanding, resolve, reject };
        this.#writing ??= this.#drain();
      });
    } catch (error) {
      // Nothing is in it that isn't in the older ones; a full disk must not fill up with attempts.
      if (this.#file === file) this.#file = undefined;
      await file.close().catch(() => {});
      await this.#disk.remove(name).catch(() => {});
      throw error;
    } finally {
      await previous?.close().catch(() => {});
    }
    await this.#save();
    await this.#flushOnce();
    if (this.#mustKeepFiles) return;
    for (const sequence of old) await this.#disk.remove(nameOf(sequence));
  }

  async close(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #drain(): Promise<void> {
    // One microtask later, so that everything appended in this turn of the event loop goes out together.
    await Promise.resolve();
    while (this.#queue.length > 0 || this.#next !== undefined) {
      if (this.#next !== undefined) this.#goOnInNext(this.#next);
      const group = this.#queue;
      this.#queue = [];
      if (group.length === 0) break;
      let written = false;
      try {
        const file = this.#file;
        if (file === undefined) throw new Error('the journal is not open');
        const bytes = Buffer.from(group.map((waiting) => waiting.text).join(''));
        await file.append(bytes);
        this.#bytes += bytes.length;
        written = true;
        if (group.some((waiting) => waiting.durable)) await file.sync();
        // Not before they are written: until then a new file has to begin with what they end.
        for (const { restarts } of group) if (restarts !== undefined) this.#kept.delete(restarts);
        for (const waiting of group) waiting.resolve();
      } catch (error) {
        this.#failure = { cause: error, final: written };
        for (const waiting of [...group, ...this.#queue]) waiting.reject(diskFailure(error));
        this.#queue = [];
        if (!written) continue;
        this.#next?.reject(diskFailure(error));
        this.#next = undefined;
      }
    }
    this.#writing = undefined;
  }

  /**
   * Between two groups. All in one step: a promise that is held is among the outstanding ones and comes before whatever waits
   * to be written; one that is made later is written behind them.
   */
  #goOnInNext({ file, outstanding, resolve, reject }: NextFile): void {
    this.#next = undefined;
    this.#file = file;
    this.#bytes = 0;
    this.#failure = undefined;
    const carried = [...[...this.#kept.values()].flat(), ...outstanding()];
    const last = carried.length - 1;
    this.#queue.unshift(...carried.map((record, i) => ({
      text: lineOf(record), durable: true, restarts: undefined, resolve: i === last ? resolve : () => {}, reject: i === last ? reject : () => {},
    })));
    if (carried.length === 0) resolve();
  }

  async #flushOnce(): Promise<void> {
    if (this.#mustKeepFiles) return;
    try {
      await this.#flush();
    } catch (error) {
      if (error instanceof TrivetError) this.#mustKeepFiles = true;
      throw error;
    }
  }

  async #sequences(): Promise<number[]> {
    const names = await this.#disk.list();
    return names.filter((name) => /^\d{12}\.log$/.test(name)).map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
  }
}

/** The records of one journal file up to the first damaged line. */
export function parseJournal(text: string): JournalRecord[] {
  const records: JournalRecord[] = [];
  const lines = text.split('\n');
  // The last element is empty when the last line was written whole.
  for (const line of lines.slice(0, -1)) {
    const json = line.slice(9);
    if (line[8] !== ' ' || line.slice(0, 8) !== checksum(json)) break;
    records.push(JSON.parse(json) as JournalRecord);
  }
  return records;
}

function nameOf(sequence: number): string {
  return `${String(sequence).padStart(12, '0')}.log`;
}

function diskFailure(cause: unknown): TrivetError {
  return new TrivetError('disk_failure', { operation: 'write the journal' }, { cause });
}

function lineOf(record: JournalRecord): string {
  const json = JSON.stringify(record);
  return `${checksum(json)} ${json}\n`;
}

function checksum(text: string): string {
  return crc32(text).toString(16).padStart(8, '0');
}
