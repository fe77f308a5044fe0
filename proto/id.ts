import { randomBytes } from 'node:crypto';

/** The first digits of an id are the time of its making. */
const TIME_DIGITS = 12;

/**
 * A new identifier for a repository, a transaction or a batch: 32 hexadecimal digits, of which the first 12 are the
 * milliseconds since 1970, so that rows inserted one after another stay neighbours in an index.
 */
export function newId(nowMs: number = Date.now()): string {
  return nowMs.toString(16).padStart(TIME_DIGITS, '0') + randomBytes(10).toString('hex');
}

/** When an id was made, milliseconds since 1970, by the clock of whoever made it. */
export function madeAtMs(id: string): number {
  return Number.parseInt(id.slice(0, TIME_DIGITS), 16);
}

/** Whether `text` has the form of `newId`. What passes is safe as a part of a path. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{32}$/.test(text);
}
