import type { SimProcess } from './parts/process.ts';

interface Entry {
  at: number;
  sequence: number;
  callback: (() => void) | undefined;
  owner: SimProcess | undefined;
}

/**
 * Virtual time. What happens is a heap of events; between two of them everything that follows from the first without
 * waiting runs to its end, so the order of events is the whole of the run's indeterminacy.
 *
 * "To its end" is exact: the next event starts from `process.nextTick`, which Node calls only once the queue of
 * microtasks is empty, however long the chains of promises were. That costs no turn of the event loop.
 */
export class Schedule {
  readonly #heap: Entry[] = [];
  #sequence = 0;
  #now = 0;
  #events = 0;
  #stopped = false;
  #current: SimProcess | undefined;

  /** Milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  /** Events so far. */
  get events(): number {
    return this.#events;
  }

  /** Whose event is running. */
  get current(): SimProcess | undefined {
    return this.#current;
  }

  /** The rest of the running event is this process's. */
  actAs(process: SimProcess): void {
    this.#current = process;
  }

  /** @param owner an event of a process that has died by then doesn't happen. @returns the cancellation */
  after(ms: number, callback: () => void, owner?: SimProcess): () => void {
    const entry: Entry = { at: this.#now + Math.max(ms, 0), sequence: this.#sequence++, callback, owner };
    this.#push(entry);
    return () => { entry.callback = undefined; };
  }

  stop(): void {
    this.#stopped = true;
  }

  /**
   * Runs until stopped, until nothing is left to happen, or until `limitMs`.
   * @throws what an event threw
   */
  run(limitMs: number): Promise<void> {
    this.#stopped = false;
    return new Promise((resolve, reject) => {
      const turn = () => {
        const entry = this.#next();
        if (this.#stopped || entry === undefined || entry.at > limitMs) {
          if (entry !== undefined) this.#push(entry);
          resolve();
          return;
        }
        this.#now = entry.at;
        this.#events++;
        this.#current = entry.owner;
        try {
          entry.callback!();
        } catch (error) {
          reject(error as Error);
          return;
        }
        queueMicrotask(next);
      };
      const next = () => process.nextTick(turn);
      next();
    });
  }

  /** The next event that will happen: what was cancelled, or whose process is dead, is passed over. */
  #next(): Entry | undefined {
    for (;;) {
      const entry = this.#pop();
      if (entry === undefined) return undefined;
      if (entry.callback !== undefined && entry.owner?.alive !== false) return entry;
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(entry);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = entry;
  }

  #pop(): Entry | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
