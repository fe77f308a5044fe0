import { TrivetError } from '@trivet/proto/errors.ts';

/** One pkt-line of a request that is in memory as a whole: its payload, or which special line it is. */
export type RequestPacket = Buffer | 'flush' | 'delimiter';

const HEADER_BYTES = 4;
/** gitprotocol-common(5): a line has 65520 bytes at most, its length included. */
const MAX_LINE_BYTES = 65520;

/**
 * Takes a whole request apart; payloads share memory with `body`.
 * @throws TrivetError `bad_pkt_line` for a malformed length, `body_truncated` when the last line is short
 */
export function requestPackets(body: Buffer): RequestPacket[] {
  const packets: RequestPacket[] = [];
  let at = 0;
  while (at < body.length) {
    if (body.length - at < HEADER_BYTES) throw new TrivetError('body_truncated', { offset: at });
    const header = body.toString('latin1', at, at + HEADER_BYTES);
    if (!/^[0-9a-fA-F]{4}$/.test(header)) throw new TrivetError('bad_pkt_line', { offset: at });
    const length = Number.parseInt(header, 16);
    // Response-end (2) has no place in a request: git 2.39 stops with a core dump over it.
    if (length === 2 || length === 3 || length > MAX_LINE_BYTES) throw new TrivetError('bad_pkt_line', { offset: at });
    if (length < HEADER_BYTES) {
      packets.push(length === 0 ? 'flush' : 'delimiter');
      at += HEADER_BYTES;
      continue;
    }
    if (at + length > body.length) throw new TrivetError('body_truncated', { offset: at });
    packets.push(body.subarray(at + HEADER_BYTES, at + length));
    at += length;
  }
  return packets;
}

/** The payload as text without its one optional line feed; `undefined` when it is not UTF-8 or has a NUL in it. */
export function packetText(payload: Buffer): string | undefined {
  const end = payload.at(-1) === 0x0a ? payload.length - 1 : payload.length;
  const line = payload.subarray(0, end);
  if (line.includes(0)) return undefined;
  const text = line.toString('utf8');
  return Buffer.byteLength(text) === line.length && Buffer.from(text).equals(line) ? text : undefined;
}
