import type { OutboxEvent } from '../store/rows.ts';

/** The durable outbox, as far as delivery needs it. */
export interface OutboxReader {
  after(sequence: number, limit: number): Promise<OutboxEvent[]>;
  prune(sequences: number[]): Promise<number>;
}

/** Events delivered in one pass at most. */
const BATCH = 500;

/**
 * Delivers what decisions left in the outbox, and takes it out afterwards: at least once, for a crash in between leaves
 * it there. Several controllers may deliver the same event. The table holds no more than what happened since the last
 * pass while anybody delivers.
 */
export class Delivery {
  readonly #outbox: OutboxReader;
  readonly #deliver: (event: OutboxEvent) => Promise<void> | void;

  constructor(outbox: OutboxReader, deliver: (event: OutboxEvent) => Promise<void> | void) {
    this.#outbox = outbox;
    this.#deliver = deliver;
  }

  /** One pass over what is there. What can't be delivered stops it, and stays. Returns how many were delivered. */
  async run(): Promise<number> {
    // From the beginning each time: a lower sequence may appear after a higher one.
    const events = await this.#outbox.after(0, BATCH);
    const delivered: number[] = [];
    try {
      for (const event of events) {
        await this.#deliver(event);
        delivered.push(event.sequence);
      }
    } finally {
      if (delivered.length > 0) await this.#outbox.prune(delivered);
    }
    return delivered.length;
  }
}
