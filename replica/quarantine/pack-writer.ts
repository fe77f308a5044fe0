import { hash } from 'node:crypto';
import { constants, crc32, deflateSync } from 'node:zlib';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { OFS_DELTA, PACK_HEADER_BYTES, rawOidLength } from './pack-parser.ts';
import type { PackedObject } from './resolve.ts';

// gitformat-pack(5)
const INDEX_SIGNATURE = Buffer.from([0xff, 0x74, 0x4f, 0x63, 0, 0, 0, 2]);
const FANOUT_ENTRIES = 256;
/** What zlib gives at once: as much as there may be, lest it reserves far more for small objects. */
const MAX_CHUNK_BYTES = 64 * 1024;
const KINDS: Readonly<Record<ObjectType, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };

export interface WrittenPack {
  /** What stands between `pack-` and `.pack`: the pack's checksum in hexadecimal. */
  name: string;
  pack: Buffer;
  index: Buffer;
}

/**
 * The pack as it goes to disk, and its index (version 2).
 *
 * A pack that needs nothing from outside stays byte for byte. In a thin one, the deltas against objects of the store
 * are replaced by the whole objects: git would append the bases instead, which stores them once more with every push.
 * @param received the pack as it came, of which `objects` is what was found in it, in the order of the entries
 */
export function writePack(received: Buffer, objects: readonly PackedObject[], format: ObjectFormat): WrittenPack {
  const { pack, offsets } = objects.some((object) => object.storeBase !== undefined)
    ? complete(received, objects, format)
    : { pack: received, offsets: objects.map((object) => object.entry.offset) };
  return {
    name: pack.toString('hex', pack.length - rawOidLength(format)),
    pack,
    index: writeIndex(pack, objects, offsets, format),
  };
}

function complete(received: Buffer, objects: readonly PackedObject[], format: ObjectFormat) {
  const parts = [received.subarray(0, PACK_HEADER_BYTES)];
  const movedTo = new Map<number, number>();
  let at = PACK_HEADER_BYTES;
  for (const { entry, type, body, storeBase } of objects) {
    movedTo.set(entry.offset, at);
    const deflated = received.subarray(entry.dataOffset, entry.end);
    let pieces: Buffer[];
    if (storeBase !== undefined) {
      // Speed before size: maintenance repacks, and finds the deltas again.
      const chunkSize = Math.min(MAX_CHUNK_BYTES, body.length + 64);
      const whole = deflateSync(body, { level: constants.Z_BEST_SPEED, chunkSize });
      pieces = [entryHeader(KINDS[type], body.length), whole];
    } else if (entry.baseOffset !== undefined) {
      // The distance to the base may have changed. The base comes first, so its new place is known.
      pieces = [entryHeader(OFS_DELTA, entry.data.length), distance(at - movedTo.get(entry.baseOffset)!), deflated];
    } else {
      pieces = [received.subarray(entry.offset, entry.end)];
    }
    for (const part of pieces) at += part.length;
    parts.push(...pieces);
  }
  const pack = Buffer.concat(parts, at + rawOidLength(format));
  hash(format, pack.subarray(0, at), 'buffer').copy(pack, at);
  return { pack, offsets: [...movedTo.values()] };
}

/** Type and size of an entry, seven bits a byte, the lowest first. */
function entryHeader(kind: number, size: number): Buffer {
  const bytes = [];
  let byte = (kind << 4) | (size & 15);
  for (let rest = Math.floor(size / 16); rest > 0; rest = Math.floor(rest / 128)) {
    bytes.push(byte | 0x80);
    byte = rest & 0x7f;
  }
  bytes.push(byte);
  return Buffer.from(bytes);
}

/** How far back the base of an ofs-delta lies, in the encoding that leaves no number with two forms. */
function distance(back: number): Buffer {
  const bytes = [back & 0x7f];
  for (let rest = Math.floor(back / 128); rest > 0; rest = Math.floor(rest / 128)) {
    rest -= 1;
    bytes.unshift((rest & 0x7f) | 0x80);
  }
  return Buffer.from(bytes);
}

function writeIndex(
  pack: Buffer, objects: readonly PackedObject[], offsets: readonly number[], format: ObjectFormat,
): Buffer {
  const oidBytes = rawOidLength(format);
  const checksumAt = pack.length - oidBytes;
  const count = objects.length;
  // Ids of one length in lower-case hexadecimal sort as their bytes do.
  const order = [...objects.keys()].sort((a, b) => (objects[a]!.oid < objects[b]!.oid ? -1 : 1));

  const fanoutAt = INDEX_SIGNATURE.length;
  const oidsAt = fanoutAt + FANOUT_ENTRIES * 4;
  const crcsAt = oidsAt + count * oidBytes;
  const offsetsAt = crcsAt + count * 4;
  const checksumsAt = offsetsAt + count * 4;
  const index = Buffer.alloc(checksumsAt + 2 * oidBytes);
  INDEX_SIGNATURE.copy(index);
  order.forEach((i, rank) => {
    const start = offsets[i]!;
    const end = offsets[i + 1] ?? checksumAt;
    index.write(objects[i]!.oid, oidsAt + rank * oidBytes, 'hex');
    index.writeUInt32BE(crc32(pack.subarray(start, end)), crcsAt + rank * 4);
    index.writeUInt32BE(start, offsetsAt + rank * 4);
  });
  for (let first = 0, rank = 0; first < FANOUT_ENTRIES; first++) {
    while (rank < count && index[oidsAt + rank * oidBytes]! <= first) rank++;
    index.writeUInt32BE(rank, fanoutAt + first * 4);
  }
  pack.copy(index, checksumsAt, checksumAt);
  hash(format, index.subarray(0, checksumsAt + oidBytes), 'buffer').copy(index, checksumsAt + oidBytes);
  return index;
}
