import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import type { Random } from './random.ts';
import type { Schedule } from './schedule.ts';
import { EPOCH_MS } from './parts/process.ts';

// The store stamps its rows with `new Date()` and names them with random bytes, and has no clock handed to it. In a
// process that simulates, both come from the run: the date is that of whoever's event is running.

let schedule: Schedule | undefined;
let random: Random | undefined;

const RealDate = globalThis.Date;

class RunDate extends RealDate {
  constructor(...values: [] | [number | string | Date]) {
    if (values.length === 0) super(RunDate.now());
    else super(values[0]);
  }

  static override now(): number {
    if (schedule === undefined) return RealDate.now();
    return schedule.current?.clock.now() ?? EPOCH_MS + Math.floor(schedule.now);
  }
}

function randomBytes(size: number): Buffer {
  const bytes = Buffer.allocUnsafe(size);
  for (let i = 0; i < size; i++) bytes[i] = random === undefined ? crypto.randomInt(256) : random.below(256);
  return bytes;
}

/** From now on dates and random bytes in this process come from a run. */
export function takeOverTime(of: Schedule, bytes: Random): void {
  schedule = of;
  random = bytes;
  if (globalThis.Date !== RunDate as unknown) {
    globalThis.Date = RunDate as DateConstructor;
    crypto.randomBytes = randomBytes as typeof crypto.randomBytes;
    syncBuiltinESMExports();
  }
}

/** Dates are real again until the next run. */
export function giveTimeBack(): void {
  schedule = undefined;
  random = undefined;
}
