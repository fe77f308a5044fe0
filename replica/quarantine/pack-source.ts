/**
 * Reads the stream of a push in steps that can be interrupted: by the push's own signal, and by whoever reads the
 * pack when it wants no more of it. A stream that stalls for ever can't hold its reader then.
 */
export class PackSource {
  readonly #iterator: AsyncIterator<Buffer>;
  readonly #signal: AbortSignal;
  #wake: (() => void) | undefined;
  #interrupted = false;
  #ended = false;
  #bytes = 0;

  constructor(source: AsyncIterable<Buffer>, signal: AbortSignal) {
    this.#iterator = source[Symbol.asyncIterator]();
    this.#signal = signal;
    signal.addEventListener('abort', this.#onAbort, { once: true });
  }

  /** Bytes read so far. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the stream has been read to its end. */
  get ended(): boolean {
    return this.#ended;
  }

  /**
   * The next chunk; undefined at the end of the stream and after `interrupt`.
   * Throws what the stream throws, and the signal's reason when it fires.
   */
  async next(): Promise<Buffer | undefined> {
    this.#signal.throwIfAborted();
    if (this.#interrupted || this.#ended) return undefined;
    const next = this.#iterator.next();
    const result = await this.#orWake(next);
    this.#signal.throwIfAborted();
    if (result === undefined) return undefined;
    if (result.done) {
      this.#ended = true;
      return undefined;
    }
    this.#bytes += result.value.length;
    return result.value;
  }

  /** Makes a waiting `next` and every later one give undefined. */
  interrupt(): void {
    this.#interrupted = true;
    this.#wake?.();
  }

  /** Lets go of the stream, wherever it is. */
  close(): void {
    this.#signal.removeEventListener('abort', this.#onAbort);
    this.interrupt();
    // A generator that waits for its own source answers this only later: nobody waits for that.
    if (!this.#ended) this.#iterator.return?.().catch(() => {});
  }

  readonly #onAbort = (): void => {
    this.#wake?.();
  };

  /** `promise`, or undefined as soon as someone wakes us. One promise a step, so that a long stream gathers none. */
  async #orWake<T>(promise: Promise<T>): Promise<T | undefined> {
    return new Promise((resolve, reject) => {
      this.#wake = () => resolve(undefined);
      promise.then(resolve, reject);
    });
  }
}
