import type { ErrorCode } from '@trivet/proto/errors.ts';

/** What a job remembers of a failure: the code, and what a person needs to know beside it. */
export function lastErrorOf(code: string, fields: Readonly<Record<string, unknown>>): string {
  return Object.keys(fields).length === 0 ? code : `${code} ${JSON.stringify(fields)}`;
}

/** Whether a job's last failure was this one. */
export function hasFailedBy(code: ErrorCode, { lastError }: { lastError: string | null }): boolean {
  return lastError?.split(' ', 1)[0] === code;
}
