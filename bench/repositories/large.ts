import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { deflateSync } from 'node:zlib';
import { ZERO_OID } from '../client/push.ts';
import type { RefUpdate } from '../client/push.ts';
import { Random } from './random.ts';

const OBJECT_TYPES = { commit: 1, tree: 2, blob: 3 } as const;

/** A pack of files that don't compress, and the push that brings it. */
export interface LargePack {
  packPath: string;
  packBytes: number;
  updates: readonly RefUpdate[];
}

/**
 * Writes a pack (gitformat-pack(5)) of one commit with files of these sizes, never holding more than one of them.
 * Nothing is deflated, only wrapped: that is what git's own packs of such files come to.
 */
export async function buildLargePack(packPath: string, fileBytes: readonly number[]): Promise<LargePack> {
  const written = { bytes: 0, commit: '' };
  await pipeline(pack(fileBytes, written), createWriteStream(packPath));
  const update = { ref: 'refs/heads/main', old: ZERO_OID, new: written.commit };
  return { packPath, packBytes: written.bytes, updates: [update] };
}

function* pack(fileBytes: readonly number[], written: { bytes: number; commit: string }): Generator<Buffer> {
  const random = new Random('large');
  const hash = createHash('sha1');
  const count = (part: Buffer) => {
    hash.update(part);
    written.bytes += part.length;
    return part;
  };
  const header = Buffer.alloc(12);
  header.write('PACK');
  header.writeUInt32BE(2, 4);
  header.writeUInt32BE(fileBytes.length + 2, 8);
  yield count(header);
  const entries: Buffer[] = [];
  for (const [i, bytes] of fileBytes.entries()) {
    const content = random.bytes(bytes);
    yield count(packEntry('blob', content));
    entries.push(Buffer.from(`100644 file-${String(i).padStart(4, '0')}.bin\0`), oidOf('blob', content));
  }
  const tree = Buffer.concat(entries);
  yield count(packEntry('tree', tree));
  const author = 'Bench <bench@example.org> 1700000000 +0000';
  const treeOid = oidOf('tree', tree).toString('hex');
  const commit = Buffer.from(`tree ${treeOid}\nauthor ${author}\ncommitter ${author}\n\nlarge files\n`);
  yield count(packEntry('commit', commit));
  written.commit = oidOf('commit', commit).toString('hex');
  written.bytes += 20;
  yield hash.digest();
}

function packEntry(type: keyof typeof OBJECT_TYPES, content: Buffer): Buffer {
  // Type and size: four bits of the size in the first byte, then seven in each.
  const head: number[] = [];
  let byte = (OBJECT_TYPES[type] << 4) | (content.length & 15);
  for (let rest = Math.floor(content.length / 16); ; rest = Math.floor(rest / 128)) {
    head.push(rest > 0 ? byte | 128 : byte);
    if (rest === 0) break;
    byte = rest & 127;
  }
  return Buffer.concat([Buffer.from(head), deflateSync(content, { level: 0 })]);
}

function oidOf(type: string, content: Buffer): Buffer {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest();
}
