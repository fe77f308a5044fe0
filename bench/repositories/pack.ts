import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

const TYPES = { commit: 1, tree: 2, blob: 3 } as const;
export type ObjectType = keyof typeof TYPES;

/** The beginning of a pack (gitformat-pack(5)) of so many objects. */
export function packHeader(objects: number): Buffer {
  const header = Buffer.alloc(12);
  header.write('PACK');
  header.writeUInt32BE(2, 4);
  header.writeUInt32BE(objects, 8);
  return header;
}

/** One object as it stands in a pack. @param level of deflate: 0 only wraps, for what doesn't compress */
export function packEntry(type: ObjectType, content: Buffer, level: number): Buffer {
  // Type and size: four bits of the size in the first byte, then seven in each.
  const head: number[] = [];
  let byte = (TYPES[type] << 4) | (content.length & 15);
  for (let rest = Math.floor(content.length / 16); ; rest = Math.floor(rest / 128)) {
    head.push(rest > 0 ? byte | 128 : byte);
    if (rest === 0) break;
    byte = rest & 127;
  }
  return Buffer.concat([Buffer.from(head), deflateSync(content, { level })]);
}

/** A whole pack at once. */
export function encodePack(objects: readonly { type: ObjectType; content: Buffer }[]): Buffer {
  const body = Buffer.concat([packHeader(objects.length), ...objects.map(({ type, content }) => packEntry(type, content, 6))]);
  return Buffer.concat([body, createHash('sha1').update(body).digest()]);
}

/** The SHA-1 that names an object. */
export function oidOf(type: ObjectType, content: Buffer): Buffer {
  return createHash('sha1').update(`${type} ${content.length}\0`).update(content).digest();
}

/** An entry of a tree. @param mode such as 100644 for a file, 40000 for a directory */
export function treeEntry(mode: string, name: string, oid: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${mode} ${name}\0`), oid]);
}
