import type { Clock } from '@trivet/proto/clock.ts';
import type { Duties } from './store/duties.ts';

/** Background work that one controller at a time does for all; loops.ts says what each is for. */
export const DUTIES = ['placement', 'removals', 'trash', 'listing', 'sweep', 'verification', 'prune'] as const;
export type DutyName = typeof DUTIES[number];

/** A controller that died is missed for so long, by its background work alone. */
const LEASE_MS = 10_000;
/** Half a lease is left for a store that is slow. */
const RENEW_AFTER_MS = LEASE_MS / 2;

/** What this controller knows of a duty that it holds, by its own clock. */
interface Held { renewAt: number; until: number }

/**
 * The duties of this controller. Not held: `hold` asks SQL each time. Held: known without SQL until half the lease is
 * over; then renewed, or lost. Only cost depends on them, never correctness: a controller that slept through the end of
 * its lease does at worst once more what another does too.
 */
export class DutyRoster {
  readonly #duties: Pick<Duties, 'hold' | 'release'>;
  readonly #holder: string;
  readonly #clock: Clock;
  readonly #held = new Map<DutyName, Held>();
  #released = false;

  /** @param holder names this process, and no other one that ever was */
  constructor(duties: Pick<Duties, 'hold' | 'release'>, holder: string, clock: Clock) {
    this.#duties = duties;
    this.#holder = holder;
    this.#clock = clock;
  }

  /** Whether this controller holds a duty now: takes it when it is free, renews it when it is ours. False without SQL. */
  async hold(name: DutyName): Promise<boolean> {
    if (this.#released) return false;
    const askedAt = this.#clock.elapsed();
    const held = this.#held.get(name);
    if (held !== undefined && askedAt < held.renewAt) return true;
    try {
      const fence = await this.#duties.hold(name, this.#holder, LEASE_MS);
      // Counted from before the question, so that it ends here before it ends in SQL.
      if (fence === undefined) this.#held.delete(name);
      else this.#held.set(name, { renewAt: askedAt + RENEW_AFTER_MS, until: askedAt + LEASE_MS });
    } catch {
      // A store that fails for a moment takes no duty away.
    }
    const now = this.#held.get(name);
    return now !== undefined && this.#clock.elapsed() < now.until;
  }

  /** Gives all of them back, for good: the process ends. */
  async release(): Promise<void> {
    this.#released = true;
    this.#held.clear();
    await this.#duties.release(this.#holder);
  }
}
