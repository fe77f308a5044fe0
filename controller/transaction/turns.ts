import PQueue from 'p-queue';
import type { Clock } from '@trivet/proto/clock.ts';
import type { Gates, Inside } from './gates.ts';

/** What takes a repository's turn across controllers; see TurnLock in the store. */
export interface SharedTurn {
  acquire(repository: string, waitMs: number): Promise<{ release(): Promise<void> } | undefined>;
}

/** Pushes and repairs of one repository that may wait for their turn here; more than that are refused. */
const MAX_WAITING = 1_000;

/**
 * How long the turn of other controllers is waited for. They pass it on within milliseconds; one that was stopped with
 * the turn in its hands would otherwise cost every batch all the time a push may wait.
 */
const SHARED_WAIT_MS = 2_000;
/** After a vain wait the turn of that repository isn't waited for again for so long. */
const VAIN_MS = 30_000;
/** Repositories for which that is remembered at most. */
const MAX_VAIN = 1_000;

interface Line<T> {
  queue: PQueue;
  waiting: T[];
  /** Whether a visit is in the queue that will serve who waits. */
  expected: boolean;
}

/**
 * The turns of each repository: one batch or one repair at a time, here and (through `shared`) across controllers.
 * Turns only avoid contention. Were two to overlap, nodes would refuse the second promise, and SQL the second decision.
 */
export class Turns<T> {
  readonly #lines = new Map<string, Line<T>>();
  readonly #shared: SharedTurn;
  readonly #waitMs: number;
  readonly #clock: Clock;
  readonly #gates: Gates | undefined;
  /** By repository, until when the shared turn isn't waited for. */
  readonly #vain = new Map<string, number>();

  /**
   * @param waitMs for how long a push waits for its turn in all
   * @param gates closed while somebody has a repository's turn alone; without them nobody is kept out
   */
  constructor(shared: SharedTurn, waitMs: number, clock: Clock, gates?: Gates) {
    this.#shared = shared;
    this.#waitMs = Math.min(waitMs, SHARED_WAIT_MS);
    this.#clock = clock;
    this.#gates = gates;
  }

  /** Pushes and repairs that wait for a turn, over all repositories. */
  get waiting(): number {
    let waiting = 0;
    for (const line of this.#lines.values()) waiting += line.queue.size + line.waiting.length;
    return waiting;
  }

  /**
   * Gets in line with what can be taken together. When the turn comes, `run` gets everything that waits by then and
   * takes out of the list what it wants. For what is left the turn is asked for again, behind repairs and other
   * controllers: a repository that is pushed to without a pause must not keep them waiting for ever.
   * @param run the same for everyone in a line: whoever asked first, it serves all
   * @returns false when the line is too long
   */
  join(repository: string, entry: T, run: (waiting: T[]) => Promise<void>): boolean {
    const line = this.#line(repository);
    if (line.waiting.length >= MAX_WAITING) return false;
    line.waiting.push(entry);
    this.#expect(repository, line, run);
    return true;
  }

  /** Says that something has begun that will get in line later, such as a push that votes first. See `Gates`. */
  async enter(repository: string): Promise<Inside> {
    return await this.#gates?.enter(repository) ?? { stale: false, leave: () => {} };
  }

  /** Runs something alone in the repository's turn, and with its gate closed, such as the last round of a repair. */
  exclusively<R>(repository: string, action: () => Promise<R>): Promise<R> {
    const visit = () => this.#visit(repository, this.#line(repository), action);
    return this.#gates === undefined ? visit() : this.#gates.closed(repository, visit);
  }

  /** One visit in the queue serves all who join before it starts. */
  #expect(repository: string, line: Line<T>, run: (waiting: T[]) => Promise<void>): void {
    if (line.expected || line.waiting.length === 0) return;
    line.expected = true;
    void this.#visit(repository, line, async () => {
      line.expected = false;
      await run(line.waiting);
      this.#expect(repository, line, run);
    });
  }

  async #visit<R>(repository: string, line: Line<T>, action: () => Promise<R>): Promise<R> {
    try {
      return await line.queue.add(async () => {
        const held = await this.#acquire(repository);
        try {
          return await action();
        } finally {
          await held?.release().catch(() => {});
        }
      }) as R;
    } finally {
      if (line.queue.size === 0 && line.queue.pending === 0 && line.waiting.length === 0) this.#lines.delete(repository);
    }
  }

  /** Not getting the shared turn in time is no reason to fail: it is there for speed only. */
  async #acquire(repository: string): Promise<{ release(): Promise<void> } | undefined> {
    const vain = (this.#vain.get(repository) ?? 0) > this.#clock.elapsed();
    const held = await this.#shared.acquire(repository, vain ? 0 : this.#waitMs).catch(() => undefined);
    if (held !== undefined) this.#vain.delete(repository);
    else if (!vain) this.#remember(repository);
    return held;
  }

  #remember(repository: string): void {
    this.#vain.delete(repository);
    this.#vain.set(repository, this.#clock.elapsed() + VAIN_MS);
    for (const oldest of this.#vain.keys()) {
      if (this.#vain.size <= MAX_VAIN) break;
      this.#vain.delete(oldest);
    }
  }

  #line(repository: string): Line<T> {
    let line = this.#lines.get(repository);
    if (line === undefined) {
      line = { queue: new PQueue({ concurrency: 1 }), waiting: [], expected: false };
      this.#lines.set(repository, line);
    }
    return line;
  }
}
