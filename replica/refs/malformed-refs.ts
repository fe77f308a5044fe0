import { TrivetError } from '@trivet/proto/errors.ts';

/** The fault of a repository whose refs can't be read as what they should be. `path` is relative to the repository. */
export function malformedRefs(path: string, problem: string, cause?: unknown): TrivetError {
  return new TrivetError('refs_unreadable', { problem: `malformed refs: ${problem}`, path }, { cause });
}

export function isFileError(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
