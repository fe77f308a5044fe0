import type { Clock } from '@trivet/proto/clock.ts';

const LOOK_MS = 20;
/** So many looks in a row must find nothing going on. */
const QUIET_LOOKS = 3;

/**
 * Waits until pushes leave the node in peace, for `patienceMs` at most: where they never cease, maintenance goes on beside
 * them at the lowest priority, or the repository would only grow slower.
 * @throws the signal's reason
 */
export async function untilQuiet(isBusy: () => boolean, patienceMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  const until = clock.elapsed() + patienceMs;
  for (let quiet = 0; quiet < QUIET_LOOKS && clock.elapsed() < until; quiet = isBusy() ? 0 : quiet + 1) await clock.sleep(LOOK_MS, signal);
  signal.throwIfAborted();
}
