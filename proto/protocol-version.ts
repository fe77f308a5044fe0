import { TrivetError } from './errors.ts';

/**
 * The messages between controllers and nodes, and what they mean. `version` rises with every change that the other side must
 * know of; `oldest` is the version of the oldest program that this one still gets on with. What may be ignored, such as a
 * new field that says more, changes neither: so controllers and nodes are upgraded one after the other.
 */
export const PROTOCOL = { version: 1, oldest: 1 };

/** Header of every request between controllers and nodes: version and oldest. */
export const PROTOCOL_HEADER = 'trivet-protocol';

/** What every request says of who sends it. */
export const PROTOCOL_HEADERS: Readonly<Record<string, string>> = { [PROTOCOL_HEADER]: `${PROTOCOL.version} ${PROTOCOL.oldest}` };

/** Who says nothing is taken for the first version, which said nothing; so does stock git. */
const SILENT = '1 1';

/**
 * Whether the two sides of a request get on with one another.
 * @param header as the other side sent it
 * @throws TrivetError version_mismatch, with the versions of both; bad_request
 */
export function expectProtocol(header: string | string[] | undefined, ours = PROTOCOL): void {
  const match = /^(\d{1,6}) (\d{1,6})$/.exec(String(header ?? SILENT));
  if (match === null) throw new TrivetError('bad_request', { header: PROTOCOL_HEADER });
  const theirs = { version: Number(match[1]), oldest: Number(match[2]) };
  if (theirs.version < ours.oldest || theirs.oldest > ours.version) throw new TrivetError('version_mismatch', { ours, theirs });
}
