import PQueue from 'p-queue';
import { TrivetError } from '@trivet/proto/errors.ts';

export interface UploadPackLimits {
  /** Git processes at the same time; each may use the memory that `REPOSITORY_CONFIG` allows one pack-objects. */
  concurrency: number;
  /** Requests that may wait for their turn; each holds its request body meanwhile. */
  maxWaiting: number;
}

/** A bound on upload-pack processes, with a bounded waiting line before it. */
export class UploadPackLimiter {
  readonly #queue: PQueue;
  readonly #maxWaiting: number;

  constructor(limits: UploadPackLimits) {
    this.#queue = new PQueue({ concurrency: limits.concurrency });
    this.#maxWaiting = limits.maxWaiting;
  }

  /** Turns taken now. */
  get running(): number {
    return this.#queue.pending;
  }

  /** Requests that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /**
   * Runs `action` when its turn comes; the turn lasts until the action is over, aborted or not.
   * @param signal ends the waiting, and rejects with its reason
   * @throws TrivetError `too_busy` at once when the waiting line is full; what `action` throws
   */
  async run<T>(action: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (this.running >= this.#queue.concurrency && this.waiting >= this.#maxWaiting) {
      throw new TrivetError('too_busy', { running: this.running, waiting: this.waiting });
    }
    signal?.throwIfAborted();
    // p-queue would give a running action's turn away when the signal fires, before its process is gone. So the
    // queue gets a signal of its own, which is deaf once the action has begun.
    const leaving = new AbortController();
    const leave = () => { leaving.abort(signal?.reason); };
    signal?.addEventListener('abort', leave, { once: true });
    try {
      return await this.#queue.add(() => {
        signal?.removeEventListener('abort', leave);
        return action();
      }, { signal: leaving.signal });
    } finally {
      signal?.removeEventListener('abort', leave);
    }
  }
}
