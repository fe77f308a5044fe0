import { TrivetError } from './errors.ts';
import type { ByteReader } from './byte-reader.ts';

// gitprotocol-common(5): four hexadecimal digits give the length of the line, themselves included.
export const FLUSH = Buffer.from('0000');
export const DELIMITER = Buffer.from('0001');
const HEADER_BYTES = 4;
const MAX_PAYLOAD_BYTES = 65516;

/** Side-band channels of gitprotocol-pack(5). */
export const BAND_DATA = 1;
export const BAND_PROGRESS = 2;
export const BAND_FATAL = 3;

export type Packet = { type: 'data'; payload: Buffer } | { type: 'flush' } | { type: 'delimiter' } | { type: 'response-end' };

/** One line with its length in front. Throws RangeError when the payload doesn't fit in a line. */
export function encodePacket(payload: string | Buffer): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  if (bytes.length > MAX_PAYLOAD_BYTES) throw new RangeError(`a pkt-line holds ${MAX_PAYLOAD_BYTES} bytes, not ${bytes.length}`);
  return Buffer.concat([lengthHeader(bytes.length), bytes]);
}

/** `payload` cut into as many side-band lines as it needs. Empty input gives an empty (keep-alive) line. */
export function encodeSideBand(band: number, payload: string | Buffer): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload) : payload;
  const parts: Buffer[] = [];
  let at = 0;
  do {
    const part = bytes.subarray(at, at + MAX_PAYLOAD_BYTES - 1);
    parts.push(lengthHeader(part.length + 1), Buffer.from([band]), part);
    at += part.length;
  } while (at < bytes.length);
  return Buffer.concat(parts);
}

/** The next line of `reader`. Throws `bad_pkt_line` for a malformed length and `body_truncated` for a short line. */
export async function readPacket(reader: ByteReader): Promise<Packet> {
  const header = (await reader.read(HEADER_BYTES)).toString('latin1');
  if (!/^[0-9a-fA-F]{4}$/.test(header)) throw new TrivetError('bad_pkt_line', { header });
  const length = Number.parseInt(header, 16);
  switch (length) {
    case 0: return { type: 'flush' };
    case 1: return { type: 'delimiter' };
    case 2: return { type: 'response-end' };
    case 3: throw new TrivetError('bad_pkt_line', { header });
    default:
      if (length > MAX_PAYLOAD_BYTES + HEADER_BYTES) throw new TrivetError('bad_pkt_line', { header });
      return { type: 'data', payload: await reader.read(length - HEADER_BYTES) };
  }
}

function lengthHeader(payloadBytes: number): Buffer {
  return Buffer.from((payloadBytes + HEADER_BYTES).toString(16).padStart(HEADER_BYTES, '0'));
}
