import type { Body, HttpClient } from './http.ts';
import { packet, packets } from './packet-stream.ts';

/** One ref moved by a push; `old` is forty zeros for a new ref. */
export interface RefUpdate {
  ref: string;
  old: string;
  new: string;
}

export const ZERO_OID = '0'.repeat(40);

/** The head of a receive-pack request: commands with the capabilities that `git push` asks for, and the flush. */
export function encodeCommands(updates: readonly RefUpdate[]): Buffer {
  const capabilities = '\0 report-status side-band-64k object-format=sha1 agent=git/bench';
  const lines = updates.map((update, i) => (
    packet(`${update.old} ${update.new} ${update.ref}${i === 0 ? capabilities : ''}`)
  ));
  return Buffer.from(`${lines.join('')}0000`);
}

/**
 * One push as `git push` makes it: read the advertisement (protocol v0, the only one for a push), then send the
 * commands and the pack.
 * @param url the repository's git URL
 * @param refs every ref the server must report as moved
 * @returns milliseconds until the report was complete
 * Throws Error when anything but a full success is answered.
 */
export async function push(client: HttpClient, url: string, body: Body, refs: readonly string[]): Promise<number> {
  const begun = performance.now();
  const advertisement: Buffer[] = [];
  const service = 'application/x-git-receive-pack';
  const advertised = await client.send(
    'GET',
    `${url}/info/refs?service=git-receive-pack`,
    {},
    undefined,
    (chunk) => advertisement.push(chunk),
  );
  expectSuccess(advertised, `${service}-advertisement`, advertisement);

  const parts: Buffer[] = [];
  const answer = await client.send('POST', `${url}/git-receive-pack`, {
    'content-type': `${service}-request`,
    accept: `${service}-result`,
  }, body, (chunk) => parts.push(chunk));
  const elapsedMs = performance.now() - begun;

  expectSuccess(answer, `${service}-result`, parts);
  checkAdvertisement(Buffer.concat(advertisement));
  checkReport(Buffer.concat(parts), refs);
  return elapsedMs;
}

/** Throws Error unless the report, in its side-band, says `unpack ok` and `ok` for exactly these refs. */
export function checkReport(response: Buffer, refs: readonly string[]): void {
  const report: Buffer[] = [];
  for (const line of packets(response)) {
    if (line === null || line.length === 0) continue;
    if (line[0] === 1) report.push(line.subarray(1));
    else if (line[0] === 3) throw new Error(`the server failed: ${line.toString('utf8', 1).trim()}`);
    else if (line[0] !== 2) throw new Error(`not a side-band: ${line.toString('latin1')}`);
  }
  const lines = packets(Buffer.concat(report)).map((line) => line?.toString().trimEnd() ?? null);
  if (lines.at(-1) !== null) throw new Error('the report has no end');
  const [unpack, ...statuses] = lines.slice(0, -1);
  if (unpack !== 'unpack ok') throw new Error(`the pack was refused: ${unpack}`);
  const missing = new Set(refs.map((ref) => `ok ${ref}`));
  for (const status of statuses) {
    if (status == null || !missing.delete(status)) throw new Error(`a ref was refused: ${status}`);
  }
  if (missing.size > 0) throw new Error(`${missing.size} refs are not reported, such as ${[...missing][0]}`);
}

/** Throws Error unless an advertisement names its service, ends in a flush, and offers what the push relies on. */
function checkAdvertisement(bytes: Buffer): void {
  const lines = packets(bytes);
  const first = lines.find((line, i) => i > 0 && line !== null)?.toString() ?? '';
  const service = lines[0]?.toString().trimEnd();
  if (service !== '# service=git-receive-pack') throw new Error('the advertisement names no service');
  if (lines.at(-1) !== null) throw new Error('the advertisement has no end');
  for (const capability of ['report-status', 'side-band-64k']) {
    if (!first.slice(first.indexOf('\0')).split(/[\0 \n]/).includes(capability)) {
      throw new Error(`the server doesn't offer ${capability}`);
    }
  }
}

/** Throws Error, with the beginning of the body, unless a response is a success of this content type. */
export function expectSuccess(
  answer: { status: number; contentType: string },
  contentType: string,
  body: readonly Buffer[],
): void {
  if (answer.status === 200 && answer.contentType === contentType) return;
  const text = Buffer.concat(body).toString('latin1', 0, 300);
  throw new Error(`expected 200 ${contentType}, got ${answer.status} ${answer.contentType}: ${text}`);
}
