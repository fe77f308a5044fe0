import { hash } from 'node:crypto';
import { inflateSync } from 'node:zlib';
import { oidLength, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { Unclear } from './unclear.ts';

// gitformat-pack(5)
export const PACK_HEADER_BYTES = 12;
export const OFS_DELTA = 6;
export const REF_DELTA = 7;

/**
 * Bounds of what is taken apart in this process. It is done in one piece, so they also bound for how long the other
 * requests of the node wait: some 60 ms at the very worst, 0.3 ms for an ordinary push. git, in a process of its own,
 * is faster anyway from about a thousand objects.
 */
const MAX_OBJECTS = 1000;
export const MAX_INFLATED_BYTES = 16 * 1024 * 1024;

/** Five bytes hold 32 bits of size; a longer header says nothing that could be accepted here. */
const MAX_ENTRY_HEADER_BYTES = 5;

/** Bytes that may still be inflated for one pack, whatever the sizes in it claim. */
export class InflateBudget {
  #leftBytes = MAX_INFLATED_BYTES;

  spend(bytes: number): void {
    this.#leftBytes -= bytes;
    if (this.#leftBytes < 0) throw new Unclear('more inflated bytes than are taken apart in process');
  }
}

/** One entry of a pack: an object, or a delta that makes one. All offsets are bytes from the start of the pack. */
export interface PackEntry {
  offset: number;
  /** Where the deflated bytes begin. */
  dataOffset: number;
  /** The first byte after the entry. */
  end: number;
  /** Undefined for a delta. */
  type: ObjectType | undefined;
  /** Of an ofs-delta: where its base begins. */
  baseOffset: number | undefined;
  /** Of a ref-delta: the id of its base. */
  baseOid: Oid | undefined;
  /** Inflated: the object, or the delta's instructions. */
  data: Buffer;
}

/** Bytes of a raw object id. */
export function rawOidLength(format: ObjectFormat): number {
  return oidLength(format) / 2;
}

/**
 * Takes a whole pack apart: header, every entry inflated, and the checksum at the end.
 * @throws Unclear for anything but a well-formed pack of version 2 within the bounds
 */
export function parsePack(pack: Buffer, format: ObjectFormat, budget: InflateBudget): PackEntry[] {
  const checksumBytes = rawOidLength(format);
  const end = pack.length - checksumBytes;
  if (end < PACK_HEADER_BYTES) throw new Unclear('shorter than a pack');
  const signature = pack.toString('latin1', 0, 4);
  if (signature !== 'PACK' || pack.readUInt32BE(4) !== 2) throw new Unclear('not a pack of version 2');
  const count = pack.readUInt32BE(8);
  if (count > MAX_OBJECTS) throw new Unclear('more objects than are taken apart in process');
  const checksum = hash(format, pack.subarray(0, end), 'buffer');
  if (!checksum.equals(pack.subarray(end))) throw new Unclear('checksum differs');

  const entries: PackEntry[] = [];
  let at = PACK_HEADER_BYTES;
  for (let i = 0; i < count; i++) {
    const entry = parseEntry(pack, at, end, checksumBytes, budget);
    entries.push(entry);
    at = entry.end;
  }
  if (at !== end) throw new Unclear('bytes after the last entry');
  return entries;
}

const TYPES: readonly (ObjectType | undefined)[] = [undefined, 'commit', 'tree', 'blob', 'tag'];

function parseEntry(pack: Buffer, offset: number, end: number, oidBytes: number, budget: InflateBudget): PackEntry {
  let at = offset;
  const next = (): number => {
    if (at >= end) throw new Unclear('entry goes on after the end');
    return pack[at++]!;
  };

  let byte = next();
  const kind = (byte >> 4) & 7;
  let size = byte & 15;
  for (let factor = 16; byte & 0x80; factor *= 128) {
    if (at - offset >= MAX_ENTRY_HEADER_BYTES) throw new Unclear('size of an entry too long');
    byte = next();
    size += (byte & 0x7f) * factor;
  }

  const type = TYPES[kind];
  let baseOffset: number | undefined;
  let baseOid: Oid | undefined;
  if (kind === OFS_DELTA) {
    byte = next();
    let distance = byte & 0x7f;
    while (byte & 0x80) {
      byte = next();
      distance = (distance + 1) * 128 + (byte & 0x7f);
      if (distance > offset) throw new Unclear('base before the start of the pack');
    }
    baseOffset = offset - distance;
    if (distance === 0 || baseOffset < PACK_HEADER_BYTES) throw new Unclear('base outside of the pack');
  } else if (kind === REF_DELTA) {
    if (at + oidBytes > end) throw new Unclear('entry goes on after the end');
    baseOid = pack.toString('hex', at, at + oidBytes);
    at += oidBytes;
  } else if (type === undefined) {
    throw new Unclear('unknown type of entry');
  }

  budget.spend(size);
  const { data, consumedBytes } = inflate(pack.subarray(at, end), size);
  return { offset, dataOffset: at, end: at + consumedBytes, type, baseOffset, baseOid, data };
}

/** Inflates exactly `size` bytes from the start of `deflated`, and never more than one byte beyond. */
function inflate(deflated: Buffer, size: number): { data: Buffer; consumedBytes: number } {
  try {
    // One byte to spare, so that a stream which gives exactly `size` bytes ends within one call of zlib.
    const options = { info: true, maxOutputLength: size + 1, chunkSize: Math.max(64, size + 1) };
    // With `info`, Node answers with the engine too, of which its type declaration knows nothing.
    const { buffer, engine } = inflateSync(deflated, options) as unknown as InflateInfo;
    if (buffer.length !== size) throw new Unclear('entry has another size than it says');
    return { data: buffer, consumedBytes: engine.bytesWritten };
  } catch (error) {
    if (error instanceof Unclear) throw error;
    throw new Unclear('entry does not inflate');
  }
}

interface InflateInfo {
  buffer: Buffer;
  engine: { bytesWritten: number };
}
