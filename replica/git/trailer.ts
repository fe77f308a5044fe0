import { createHash, type Hash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { oidLength, type ObjectFormat } from '@trivet/proto/object-format.ts';

/** How a file ends that git closes with a checksum over all before it: packs, indexes, reverse indexes, bitmaps. */
export interface Trailer {
  /** Whether the checksum is that of the bytes before it. */
  sound: boolean;
  /** The checksum as it stands in the file, in hexadecimal. */
  checksum: string;
  /** What stands before it. In an index and a reverse index that is the checksum of the pack (gitformat-pack(5)). */
  before: string;
}

/** Read at once, and hashed without a pause: less than 1 ms. */
const CHUNK_BYTES = 512 * 1024;

/** Checks a file while its bytes pass by; holds back what may turn out to be the trailer. */
export class TrailerHash {
  readonly #hash: Hash;
  readonly #digestBytes: number;
  #tail = Buffer.alloc(0);

  constructor(format: ObjectFormat) {
    this.#hash = createHash(format);
    this.#digestBytes = oidLength(format) / 2;
  }

  update(chunk: Buffer): void {
    const held = 2 * this.#digestBytes;
    if (chunk.length >= held) {
      this.#hash.update(this.#tail).update(chunk.subarray(0, chunk.length - held));
      this.#tail = Buffer.from(chunk.subarray(chunk.length - held));
      return;
    }
    const tail = Buffer.concat([this.#tail, chunk]);
    const surplus = Math.max(0, tail.length - held);
    this.#hash.update(tail.subarray(0, surplus));
    this.#tail = tail.subarray(surplus);
  }

  /** Call once, after the last byte. */
  finish(): Trailer {
    const at = this.#tail.length - this.#digestBytes;
    if (at < this.#digestBytes) return { sound: false, checksum: '', before: '' };
    const checksum = this.#tail.toString('hex', at);
    const before = this.#tail.toString('hex', 0, at);
    return { sound: this.#hash.update(this.#tail.subarray(0, at)).digest('hex') === checksum, checksum, before };
  }
}

/**
 * Reads a whole file and checks it.
 * @throws what the file system throws, the signal's reason
 */
export async function readTrailer(path: string, format: ObjectFormat, signal?: AbortSignal): Promise<Trailer> {
  const hash = new TrailerHash(format);
  await hashFile(path, hash, signal);
  return hash.finish();
}

/** @returns how many bytes the file has */
export async function hashFile(path: string, hash: TrailerHash, signal?: AbortSignal): Promise<number> {
  const file = await open(path, 'r');
  try {
    const chunk = Buffer.allocUnsafe(CHUNK_BYTES);
    for (let at = 0; ;) {
      signal?.throwIfAborted();
      const { bytesRead } = await file.read(chunk, 0, chunk.length, at);
      if (bytesRead === 0) return at;
      hash.update(chunk.subarray(0, bytesRead));
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}
