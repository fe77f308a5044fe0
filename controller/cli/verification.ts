import { VerificationAnswer } from '../rest/verification.ts';
import type { Session } from './session.ts';

/**
 * Has one repository verified, which to do twice does no harm.
 * @throws Unreachable, Refused, Interrupted
 */
export function verify({ api }: Session, repository: string, full: boolean): Promise<VerificationAnswer> {
  // As long as it takes: a large repository is read from the disk for many minutes.
  return api.post(VerificationAnswer, '/api/v1/verifications', { repository, full }, 0);
}
