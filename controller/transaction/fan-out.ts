import { TrivetError } from '@trivet/proto/errors.ts';

/** What one branch may hold before the source has to wait for it. */
const BRANCH_BYTES = 1024 * 1024;

/**
 * One stream of chunks to several readers at the same time, in bounded memory: nobody gets more than 1 MiB ahead of the
 * slowest. A branch that takes nothing for `stallMs` while the others wait for it is dropped, if `mayDrop` allows it.
 */
export class FanOut {
  readonly #branches = new Map<string, Branch>();

  /** A reader of its own, to be iterated once. */
  branch(name: string): AsyncIterable<Buffer> {
    const branch = new Branch();
    this.#branches.set(name, branch);
    return branch;
  }

  /** The reader is gone; nothing waits for it any more. */
  leave(name: string): void {
    this.#branches.get(name)?.fail(new TrivetError('phase_timeout', { node: name, phase: 'vote' }));
    this.#branches.delete(name);
  }

  /**
   * Sends everything from `source`. When the source fails, so do all branches.
   * @param mayDrop whether the push can go on without these branches
   * @param onDrop told about each branch that was dropped
   */
  async pump(source: AsyncIterable<Buffer>, stallMs: number, mayDrop: (slow: readonly string[]) => boolean, onDrop: (name: string) => void): Promise<void> {
    try {
      for await (const chunk of source) {
        for (const branch of this.#branches.values()) branch.push(chunk);
        await this.#room(stallMs, mayDrop, onDrop);
        if (this.#branches.size === 0) break;
      }
      for (const branch of this.#branches.values()) branch.end();
    } catch (error) {
      for (const branch of this.#branches.values()) branch.fail(error);
      throw error;
    }
  }

  async #room(stallMs: number, mayDrop: (slow: readonly string[]) => boolean, onDrop: (name: string) => void): Promise<void> {
    for (;;) {
      const slow = [...this.#branches].filter(([, branch]) => branch.full);
      if (slow.length === 0) return;
      const taken = slow.map(([, branch]) => branch.taken);
      await anyOf(slow.map(([, branch]) => branch.drained()), stallMs);
      const stuck = slow.filter(([name, branch], i) => this.#branches.has(name) && branch.full && branch.taken === taken[i]).map(([name]) => name);
      // All of them made way, or at least one did and the others get another term.
      if (stuck.length < slow.length || !mayDrop(stuck)) continue;
      for (const name of stuck) {
        this.leave(name);
        onDrop(name);
      }
    }
  }
}

class Branch implements AsyncIterable<Buffer> {
  /** Bytes handed out so far. */
  taken = 0;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #wakeReader: (() => void) | undefined;
  #wakeWriters: (() => void)[] = [];

  get full(): boolean {
    return this.#queuedBytes >= BRANCH_BYTES && this.#failure === undefined;
  }

  push(chunk: Buffer): void {
    if (this.#failure !== undefined) return;
    this.#queue.push(chunk);
    this.#queuedBytes += chunk.length;
    this.#wakeReader?.();
  }

  end(): void {
    this.#ended = true;
    this.#wakeReader?.();
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#wakeReader?.();
    this.#wake();
  }

  /** Resolves when something was taken. */
  drained(): Promise<void> {
    return new Promise((resolve) => this.#wakeWriters.push(resolve));
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure.error;
        const chunk = this.#queue.shift();
        if (chunk !== undefined) {
          this.#queuedBytes -= chunk.length;
          this.taken += chunk.length;
          this.#wake();
          yield chunk;
        } else if (this.#ended) {
          return;
        } else {
          await new Promise<void>((resolve) => { this.#wakeReader = resolve; });
          this.#wakeReader = undefined;
        }
      }
    } finally {
      this.fail(new Error('the reader is gone'));
    }
  }

  #wake(): void {
    const writers = this.#wakeWriters;
    this.#wakeWriters = [];
    for (const wake of writers) wake();
  }
}

async function anyOf(promises: Promise<void>[], timeoutMs: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<void>((resolve) => { timer = setTimeout(resolve, timeoutMs); });
  await Promise.race([...promises, timeout]);
  clearTimeout(timer);
}
