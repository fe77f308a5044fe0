import type { ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * Asks a process to end with SIGTERM, and makes it with SIGKILL when it hasn't after `graceMs`.
 * @returns whether it went by itself
 */
export async function endProcess(child: ChildProcess, graceMs: number): Promise<boolean> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return true;
  const gone = new Promise<true>((resolve) => child.once('exit', () => resolve(true)));
  child.kill('SIGTERM');
  const timer = new AbortController();
  const went = await Promise.race([gone, sleep(graceMs, false, { signal: timer.signal }).catch(() => true)]);
  timer.abort();
  if (went) return true;
  child.kill('SIGKILL');
  await gone;
  return false;
}
