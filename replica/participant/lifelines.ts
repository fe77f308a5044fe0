import type { Clock } from '@trivet/proto/clock.ts';
import type { Replica } from '../repository/replica.ts';
import type { InDoubt } from './in-doubt.ts';

/** A controller whose lifeline was cut, but who lives, has another one by then. */
const PAUSE_MS = 250;
const MAX_PAUSE_MS = 5_000;

/**
 * One open request for each controller's process, for as long as it lives. When the last one of a process has closed, and
 * no other has come after a short pause, whatever it coordinated is in doubt: the decision is asked for at once, instead
 * of when a promise has become old, and again with longer pauses until no promise of that coordinator is left.
 *
 * Connections that carry pushes say nothing of the kind: they close whenever a client breaks off, and to ask too early
 * means to abort what a healthy coordinator is about to decide.
 */
export class Lifelines {
  readonly #replicas: { readonly opened: Iterable<Replica> };
  readonly #inDoubt: Pick<InDoubt, 'settle'>;
  readonly #clock: Clock;
  /** By controller, what ends each of its lifelines from this side. */
  readonly #lines = new Map<string, Set<() => void>>();
  readonly #timers = new Set<() => void>();
  #closing = false;

  constructor(replicas: { readonly opened: Iterable<Replica> }, inDoubt: Pick<InDoubt, 'settle'>, clock: Clock) {
    this.#replicas = replicas;
    this.#inDoubt = inDoubt;
    this.#clock = clock;
  }

  /** Controllers that have a lifeline here. */
  get size(): number {
    return this.#lines.size;
  }

  /**
   * A controller has opened a lifeline.
   * @param end closes it from this side
   * @returns what must be called when it has closed
   */
  open(controller: string, end: () => void): () => void {
    if (this.#closing) end();
    const lines = this.#lines.get(controller) ?? new Set();
    this.#lines.set(controller, lines);
    lines.add(end);
    return () => {
      lines.delete(end);
      if (lines.size > 0 || this.#lines.get(controller) !== lines) return;
      this.#lines.delete(controller);
      this.#suspect(controller, PAUSE_MS);
    };
  }

  /** Ends every lifeline, and asks nobody any more. */
  close(): void {
    this.#closing = true;
    for (const cancel of this.#timers) cancel();
    this.#timers.clear();
    for (const lines of this.#lines.values()) for (const end of lines) end();
  }

  #suspect(controller: string, pauseMs: number): void {
    if (this.#closing) return;
    const cancel = this.#clock.after(pauseMs, () => {
      this.#timers.delete(cancel);
      if (!this.#lines.has(controller)) void this.#settle(controller, pauseMs);
    });
    this.#timers.add(cancel);
  }

  async #settle(controller: string, pauseMs: number): Promise<void> {
    const orphans = () => [...this.#replicas.opened].filter((replica) => replica.promise?.coordinator === controller);
    await Promise.all(orphans().map((replica) => this.#inDoubt.settle(replica)));
    if (orphans().length > 0) this.#suspect(controller, Math.min(2 * pauseMs, MAX_PAUSE_MS));
  }
}
