import type { FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { BYTES_PER_SECOND_HEADER } from '@trivet/proto/messages.ts';

/** As in RepairRequest: below this nothing would ever be finished. */
const MIN_BYTES_PER_SECOND = 1024;

/** How fast the caller wants to be answered at most; undefined when it doesn't say. Throws TrivetError bad_request. */
export function bytesPerSecondAsked(request: FastifyRequest): number | undefined {
  const text = request.headers[BYTES_PER_SECOND_HEADER];
  if (text === undefined) return undefined;
  const rate = Number(text);
  if (!Number.isSafeInteger(rate) || rate < MIN_BYTES_PER_SECOND) throw new TrivetError('bad_request', { header: BYTES_PER_SECOND_HEADER });
  return rate;
}
