import { TrivetError } from '@trivet/proto/errors.ts';
import { requestPackets } from './request-packets.ts';

/** What git says on its standard error when it is the client's request that is wrong, in the C locale. */
const CLIENT_FAULTS: readonly RegExp[] = [
  /^fatal: (invalid command|unknown capability|no command requested|command '.*' requested after)/m,
  /^fatal: (unexpected line|expected flush|invalid filter-spec|invalid shallow line|Invalid deepen)/m,
  /^fatal: git upload-pack: (protocol error|expected SHA1|not our ref|filtering capability)/m,
  /^fatal: git upload-pack: (ambiguous deepen-not|deepen and deepen-since)/m,
  // said when the request ends where git wanted more of it
  /^fatal: the remote end hung up/m,
];

/** The fault for a git that ended without a byte of output. A client's own fault must not count against a replica. */
export function uploadPackFault(
  end: { code: number | null; signal: NodeJS.Signals | null; stderr: string },
): TrivetError {
  if (/^fatal: mismatched object format/m.test(end.stderr)) {
    return new TrivetError('object_format_mismatch', { stderr: end.stderr });
  }
  const isClientFault = end.code === 128 && CLIENT_FAULTS.some((fault) => fault.test(end.stderr));
  return new TrivetError(isClientFault ? 'bad_request' : 'git_failed', { ...end });
}

/**
 * Whether an answer ends in an ERR packet: then git's exit status tells the client nothing new, and the answer is
 * complete as it is (gitprotocol-pack(5)).
 */
export function isErrorAnswer(answer: Buffer): boolean {
  try {
    const last = requestPackets(answer).at(-1);
    return last instanceof Buffer && last.subarray(0, 4).equals(Buffer.from('ERR '));
  } catch {
    return false;
  }
}
