import { setTimeout as sleep } from 'node:timers/promises';
import { TrivetError } from '@trivet/proto/errors.ts';
import { CommitUnanswered, Undone, UnfitServer } from './sql.ts';

/** A statement, or the wait for a connection, took longer than its deadline. */
export class DeadlineExceeded extends Error {
  constructor(what: string, deadlineMs: number) {
    super(`${what} took longer than ${deadlineMs} ms`);
    this.name = 'DeadlineExceeded';
  }
}

/**
 * What a database error means here. `contention`: surely rolled back, and the same again may pass.
 * `duplicate`: a unique key is taken. `orphan`: a row that a foreign key names isn't there.
 * `defect`: this program said something the database can't mean. `unavailable`: all the rest.
 */
export type Failure = 'contention' | 'duplicate' | 'orphan' | 'defect' | 'unavailable';

// MySQL's errno, SQLite's (extended) result codes, Prisma's codes. Each set says what it is in the others' words.
const CONTENTION: ReadonlySet<unknown> = new Set([1205, 1213, 3101, 5, 261, 517, 'P2034']);
const DUPLICATE: ReadonlySet<unknown> = new Set([1062, 1586, 1555, 2067, 'P2002']);
const ORPHAN: ReadonlySet<unknown> = new Set([1451, 1452, 787, 'P2003']);
const DEFECT: ReadonlySet<unknown> = new Set([
  1048, 1052, 1054, 1064, 1136, 1146, 1264, 1366, 1406, 1, 1299, 'P2000', 'P2009', 'P2010', 'P2011', 'P2021', 'P2022',
]);

// A deadlock's victim finds its way free the next time; more tries than this mean that something else is wrong.
const ATTEMPTS = 5;
const MAX_PAUSE_MS = 20;
// A lock that was waited for in vain has cost seconds already.
const MAX_TRYING_MS = 5_000;

/** What `error` means. */
export function classify(error: unknown): Failure {
  const codes = error instanceof Error ? codesOf(error) : [];
  if (codes.some((code) => CONTENTION.has(code))) return 'contention';
  if (codes.some((code) => DUPLICATE.has(code))) return 'duplicate';
  if (codes.some((code) => ORPHAN.has(code))) return 'orphan';
  if (codes.some((code) => DEFECT.has(code))) return 'defect';
  const defects = [TypeError, RangeError, SyntaxError, ReferenceError];
  if (defects.some((kind) => error instanceof kind)) return 'defect';
  return error instanceof Error && error.name === 'PrismaClientValidationError' ? 'defect' : 'unavailable';
}

/**
 * Runs one operation of the store, again when contention rolled it back or a lost connection surely left nothing done,
 * and makes a TrivetError of what goes wrong.
 * Every public method of the store is inside exactly one of these.
 * @param lost the code for a lost answer to COMMIT. Where a repetition does no harm, nobody needs to know of it
 */
export async function attempt<T>(
  work: () => Promise<T>,
  lost: 'store_unavailable' | 'outcome_unknown' = 'store_unavailable',
): Promise<T> {
  const startedMs = performance.now();
  for (let tried = 1; ; tried++) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof TrivetError) throw error;
      if (error instanceof CommitUnanswered) throw new TrivetError(lost, {}, { cause: error });
      const failure = classify(error);
      if ((failure === 'contention' || error instanceof Undone) && tried < ATTEMPTS && performance.now() - startedMs < MAX_TRYING_MS) {
        await sleep(Math.random() * MAX_PAUSE_MS);
        continue;
      }
      // Fields go into answers to clients, and the database's words are none of theirs: those stay in the cause.
      const passing = failure === 'contention' || failure === 'unavailable';
      throw new TrivetError(passing ? 'store_unavailable' : 'internal', isUnfit(error) ? { reason: 'read_only' } : {}, { cause: error });
    }
  }
}

/** `promise`, or DeadlineExceeded after `deadlineMs`. What `promise` comes to after that is nobody's business. */
export async function withDeadline<T>(promise: Promise<T>, what: string, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new DeadlineExceeded(what, deadlineMs)), deadlineMs);
  });
  try {
    return await Promise.race([promise, deadline]);
  } finally {
    clearTimeout(timer);
  }
}

function isUnfit(error: unknown): boolean {
  return error instanceof UnfitServer || (error instanceof Undone && error.cause instanceof UnfitServer);
}

/** mysql2 says `errno`, libsql `rawCode`, Prisma `code`; Prisma's own errors may carry a driver's as their cause. */
function codesOf(error: Error): unknown[] {
  const { errno, rawCode, code } = error as { errno?: unknown; rawCode?: unknown; code?: unknown };
  return [errno, rawCode, code];
}
