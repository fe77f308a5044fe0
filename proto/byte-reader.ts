import { TrivetError } from './errors.ts';

/**
 * Reads exact numbers of bytes from a stream of chunks, holding no more than one chunk beyond what was asked for.
 * Nothing is read ahead, so the source's own back-pressure reaches the sender.
 */
export class ByteReader {
  #source: AsyncIterator<Buffer>;
  #chunk: Buffer = Buffer.alloc(0);
  #ended = false;

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Exactly `length` bytes. Throws `body_truncated` when the source ends before. */
  async read(length: number): Promise<Buffer> {
    // An empty line is complete as it is: to wait for what follows would be to read ahead.
    if (length === 0) return Buffer.alloc(0);
    const first = await this.peekChunk();
    if (first.length >= length) {
      this.#chunk = first.subarray(length);
      return first.subarray(0, length);
    }
    const parts: Buffer[] = [];
    let missing = length;
    while (missing > 0) {
      const chunk = await this.peekChunk();
      if (chunk.length === 0) throw new TrivetError('body_truncated', { expected: length, missing });
      const taken = chunk.subarray(0, missing);
      parts.push(taken);
      missing -= taken.length;
      this.#chunk = chunk.subarray(taken.length);
    }
    return Buffer.concat(parts, length);
  }

  /** What is at hand without consuming it; empty only at the end of the source. */
  async peekChunk(): Promise<Buffer> {
    while (this.#chunk.length === 0 && !this.#ended) {
      const next = await this.#source.next();
      if (next.done) this.#ended = true;
      else this.#chunk = next.value;
    }
    return this.#chunk;
  }

  /** True when nothing is left. Waits for the source to say so. */
  async atEnd(): Promise<boolean> {
    return (await this.peekChunk()).length === 0;
  }

  /** Everything that is left, chunk by chunk. */
  async *rest(): AsyncGenerator<Buffer> {
    for (;;) {
      const chunk = await this.peekChunk();
      if (chunk.length === 0) return;
      this.#chunk = Buffer.alloc(0);
      yield chunk;
    }
  }
}
