import { setTimeout as sleep } from 'node:timers/promises';

/** Time as one process has it. Passed to whatever waits or measures, so that a test can hold it. */
export interface Clock {
  /** Milliseconds since 1970, by a clock that may be set, forwards or back. */
  now(): number;
  /** Milliseconds since some moment, never fewer than before: what durations and deadlines are measured by. */
  elapsed(): number;
  /** Throws the reason of `signal` when that is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
  /** Calls back once, unless it is cancelled before. @returns the cancellation */
  after(ms: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  sleep: async (ms, signal) => { await sleep(ms, undefined, { signal }); },
  after: (ms, callback) => {
    const timer = setTimeout(callback, ms);
    return () => clearTimeout(timer);
  },
};
