import { createHash } from 'node:crypto';
import { createWriteStream, mkdirSync, rmSync } from 'node:fs';
import { open, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { RequestPacket } from './request-packets.ts';
import { packetText } from './request-packets.ts';
import type { UploadPackResponse } from './upload-pack.ts';

export interface ResponseCacheLimits {
  /** Bytes of all answers together; the least recently used go first. 0 switches the cache off. */
  maxBytes: number;
  /** A larger answer isn't kept. */
  maxEntryBytes: number;
}

const READ_BYTES = 512 * 1024;
/** When the disk is further behind the client than this, the answer isn't worth keeping. */
const MAX_BEHIND_BYTES = 8 * 1024 * 1024;
/** Requests remembered as seen once. */
const MAX_SEEN = 10_000;

/**
 * Answers to full clones, kept as files: many clients that clone the same state ask git for the same pack again and
 * again, and making it is nearly all the work of a clone.
 *
 * An answer is kept under everything it depends on: the repository, its refs digest, the protocol, and the request byte
 * by byte. A push changes the digest, so nothing has to be thrown away by hand. Only requests that are complete in
 * themselves (`done`, and no `have`) are kept, and only from the second time on: most fetches never come twice.
 */
export class ResponseCache {
  readonly #directory: string;
  readonly #limits: ResponseCacheLimits;
  /** Finished answers with their sizes, least recently used first. */
  readonly #entries = new Map<string, number>();
  readonly #writing = new Set<string>();
  readonly #seen = new Set<string>();
  /** How often a repository's answers were forgotten: a part of their keys. */
  readonly #epochs = new Map<string, number>();
  #bytes = 0;

  /** @param directory emptied: what an earlier process kept can't be trusted to be whole */
  constructor(directory: string, limits: ResponseCacheLimits) {
    this.#directory = directory;
    this.#limits = limits;
    rmSync(directory, { recursive: true, force: true });
    mkdirSync(directory, { recursive: true });
  }

  /** Bytes of the answers kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The key of an answer, or undefined when the request isn't a clone that is complete in itself. */
  key(gitDir: string, refsDigest: string, gitProtocol: string | undefined, body: Buffer, packets: readonly RequestPacket[]): string | undefined {
    return cacheKey(`${gitDir}#${this.#epochs.get(gitDir) ?? 0}`, refsDigest, gitProtocol, body, packets);
  }

  /**
   * What was answered from this repository so far is not given again, nor is what is being answered now: its objects were
   * damaged. The files go when room is needed.
   */
  forget(gitDir: string): void {
    this.#epochs.set(gitDir, (this.#epochs.get(gitDir) ?? 0) + 1);
  }

  /**
   * The answer kept under `key`, or what `produce` gives, which is then kept if this is the second time.
   * @param key from `cacheKey`
   */
  async answer(key: string, produce: () => Promise<UploadPackResponse>): Promise<UploadPackResponse> {
    const kept = await this.#kept(key);
    if (kept !== undefined) return { stream: kept, done: Promise.resolve({ ok: true }) };
    const response = await produce();
    if (this.#limits.maxBytes === 0 || this.#writing.has(key)) return response;
    if (!this.#seen.has(key)) {
      this.#remember(key);
      return response;
    }
    return this.#keep(key, response);
  }

  async #kept(key: string): Promise<Readable | undefined> {
    const size = this.#entries.get(key);
    if (size === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, size);
    try {
      // Opened before anything is said: an entry that is evicted meanwhile stays readable.
      const file = await open(this.#path(key), 'r');
      return file.createReadStream({ highWaterMark: READ_BYTES });
    } catch {
      this.#forget(key);
      return undefined;
    }
  }

  /** Writes the answer down while it passes. The client's pace counts; a disk that can't follow is given up on. */
  #keep(key: string, { stream, done }: UploadPackResponse): UploadPackResponse {
    const path = `${this.#path(key)}.new`;
    const file = createWriteStream(path);
    let bytes = 0;
    let good = true;
    this.#writing.add(key);
    const giveUp = () => {
      good = false;
      file.destroy();
    };
    file.on('error', giveUp);
    const copy = new Readable({
      highWaterMark: READ_BYTES,
      read: () => { stream.resume(); },
      destroy: (error, callback) => {
        stream.destroy();
        callback(error);
      },
    });
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (good && (bytes > this.#limits.maxEntryBytes || file.writableLength > MAX_BEHIND_BYTES)) giveUp();
      if (good) file.write(chunk);
      if (!copy.push(chunk)) stream.pause();
    });
    stream.once('end', () => copy.push(null));
    stream.once('error', (error) => copy.destroy(error));
    const kept = done.then(async (end) => {
      if (!end.ok) giveUp();
      await new Promise<void>((resolve) => {
        if (file.destroyed) resolve();
        else file.end(() => resolve());
        file.once('close', () => resolve());
      });
      await this.#settle(key, path, good ? bytes : undefined);
      return end;
    });
    return { stream: copy, done: kept };
  }

  async #settle(key: string, path: string, bytes: number | undefined): Promise<void> {
    try {
      if (bytes === undefined) await rm(path, { force: true });
      else {
        await rename(path, this.#path(key));
        this.#entries.set(key, bytes);
        this.#bytes += bytes;
        await this.#evict();
      }
    } catch {
      // A cache that can't keep something has lost nothing.
    } finally {
      this.#writing.delete(key);
    }
  }

  async #evict(): Promise<void> {
    for (const key of [...this.#entries.keys()]) {
      if (this.#bytes <= this.#limits.maxBytes) return;
      this.#forget(key);
      await rm(this.#path(key), { force: true });
    }
  }

  #forget(key: string): void {
    this.#bytes -= this.#entries.get(key) ?? 0;
    this.#entries.delete(key);
  }

  #remember(key: string): void {
    this.#seen.add(key);
    for (const oldest of this.#seen) {
      if (this.#seen.size <= MAX_SEEN) break;
      this.#seen.delete(oldest);
    }
  }

  #path(key: string): string {
    return join(this.#directory, key);
  }
}

/** The key of an answer, or undefined when the request isn't a clone that is complete in itself. */
export function cacheKey(
  gitDir: string, refsDigest: string, gitProtocol: string | undefined, body: Buffer, packets: readonly RequestPacket[],
): string | undefined {
  const lines = packets.map((packet) => (typeof packet === 'string' ? '' : packetText(packet) ?? ''));
  if (!lines.includes('done') || !lines.some((line) => line.startsWith('want ')) || lines.some((line) => line.startsWith('have '))) return undefined;
  return createHash('sha256').update(JSON.stringify([gitDir, refsDigest, gitProtocol ?? ''])).update(body).digest('hex');
}
