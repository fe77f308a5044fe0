import { TrivetError } from '@trivet/proto/errors.ts';

/** What went wrong with files, as TrivetError `disk_failure`; a TrivetError stays what it is. */
export function asDiskFailure(error: unknown): TrivetError {
  return error instanceof TrivetError ? error : new TrivetError('disk_failure', {}, { cause: error });
}
