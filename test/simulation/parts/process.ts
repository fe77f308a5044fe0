import type { Clock } from '@trivet/proto/clock.ts';
import type { Schedule } from '../schedule.ts';

/** Where the wall clocks of the simulation begin: 1 January 2026. */
export const EPOCH_MS = Date.UTC(2026, 0, 1);

/**
 * One life of a program, from its start to its death. What it waits for when it dies never happens: its timers are
 * passed over, and no operation it has begun gives an answer. So its code stops where it is, as a killed process does.
 */
export class SimProcess {
  readonly name: string;
  readonly clock: Clock;
  readonly #schedule: Schedule;
  readonly #skewMs: () => number;
  readonly #atDeath = new Set<() => void>();
  #alive = true;

  /** @param skewMs by how much its machine's wall clock is wrong at the moment */
  constructor(name: string, schedule: Schedule, skewMs: () => number = () => 0) {
    this.name = name;
    this.#schedule = schedule;
    this.#skewMs = skewMs;
    this.clock = {
      now: () => EPOCH_MS + Math.floor(schedule.now + this.#skewMs()),
      elapsed: () => schedule.now,
      // Nobody in a run stops a program gently, so no sleep is cut short.
      sleep: (ms) => this.wait(ms),
      after: (ms, callback) => this.after(ms, callback),
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  kill(): void {
    this.#alive = false;
    for (const callback of this.#atDeath) callback();
    this.#atDeath.clear();
  }

  /** @returns what takes the callback back */
  onDeath(callback: () => void): () => void {
    this.#atDeath.add(callback);
    return () => { this.#atDeath.delete(callback); };
  }

  /** Calls back unless it was cancelled, or this process has died. @returns the cancellation */
  after(ms: number, callback: () => void): () => void {
    return this.#schedule.after(ms, callback, this);
  }

  wait(ms: number): Promise<void> {
    return new Promise((resolve) => { this.after(ms, resolve); });
  }

  /** Does something again and again, never twice at a time. */
  every(ms: number, work: () => Promise<void>): void {
    let running = false;
    const tick = () => {
      this.after(ms, tick);
      if (running) return;
      running = true;
      void work().catch(() => {}).finally(() => { running = false; });
    };
    this.after(ms, tick);
  }
}

/** What a dead process gets instead of an answer. */
export function never<T>(): Promise<T> {
  return new Promise<T>(() => {});
}
