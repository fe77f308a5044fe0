import type { ObjectContents, ObjectType } from './object-reader.ts';

/** Larger objects are not kept: one of them would push out too many others. */
const MAX_OBJECT_BYTES = 512 * 1024;
/** Of a cached object beside its content: the key, the buffer's own objects, the place in the map. */
const OVERHEAD_BYTES = 320;

/**
 * Contents of the objects that were pushed last, over all repositories, least recently used forgotten first: the bases
 * of the deltas that come with the next push. Contents only; whether an object is in a store is not said here.
 */
export class RecentContents {
  readonly #maxBytes: number;
  readonly #contents = new Map<string, ObjectContents>();
  #bytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.#bytes;
  }

  get(key: string): ObjectContents | undefined {
    const contents = this.#contents.get(key);
    if (contents === undefined) return undefined;
    this.#contents.delete(key);
    this.#contents.set(key, contents);
    return contents;
  }

  /** Keeps a copy: what was inflated may be a small part of a large buffer. */
  set(key: string, type: ObjectType, body: Buffer): void {
    if (body.length > MAX_OBJECT_BYTES) return;
    this.#delete(key);
    const copy = Buffer.allocUnsafeSlow(body.length);
    body.copy(copy);
    this.#contents.set(key, { type, body: copy });
    this.#bytes += body.length + OVERHEAD_BYTES;
    for (const oldest of this.#contents.keys()) {
      if (this.#bytes <= this.#maxBytes) return;
      this.#delete(oldest);
    }
  }

  #delete(key: string): void {
    const contents = this.#contents.get(key);
    if (contents === undefined) return;
    this.#contents.delete(key);
    this.#bytes -= contents.body.length + OVERHEAD_BYTES;
  }
}
