import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateSync } from 'node:zlib';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { runGit } from '../git/process.ts';
import { hashObject } from './resolve.ts';

// For tests: packs and objects of any shape, right or wrong, and a repository to push them to.

export interface TestObject {
  type: ObjectType;
  body: Buffer;
}

export interface TestEntry {
  kind: number;
  data: Buffer;
  /** Between the entry's header and its data: where the base of a delta is. */
  base?: Buffer;
  /** Says another size than that of `data`. */
  declaredSize?: number;
  /** Stands in place of the deflated `data`. */
  deflated?: Buffer;
}

export interface PackShape {
  count?: number;
  version?: number;
  signature?: string;
  checksum?: Buffer;
}

const KINDS: Readonly<Record<ObjectType, number>> = { commit: 1, tree: 2, blob: 3, tag: 4 };

export const IDENT = 'A U Thor <author@example.com> 1700000000 +0000';

export function blob(text: string | Buffer): TestObject {
  return { type: 'blob', body: Buffer.from(text) };
}

/** @param entries mode, name and id of each, in the order in which they shall stand */
export function tree(entries: readonly (readonly [mode: string, name: string | Buffer, oid: Oid])[]): TestObject {
  return { type: 'tree', body: Buffer.concat(entries.flatMap(([mode, name, oid]) =>
    [Buffer.from(`${mode} `), Buffer.from(name), Buffer.from([0]), Buffer.from(oid, 'hex')])) };
}

export function commit(
  parts: { tree?: Oid; parents?: readonly Oid[]; author?: string; committer?: string; message?: string; more?: string },
): TestObject {
  const { parents = [], author = IDENT, committer = IDENT, message = 'message\n', more = '' } = parts;
  const treeLine = parts.tree === undefined ? '' : `tree ${parts.tree}\n`;
  const parentLines = parents.map((oid) => `parent ${oid}\n`).join('');
  const header = `${treeLine}${parentLines}author ${author}\ncommitter ${committer}\n${more}`;
  return { type: 'commit', body: Buffer.from(`${header}\n${message}`) };
}

export function tag(object: Oid, type: string, more = `tag v1\ntagger ${IDENT}\n\nmessage\n`): TestObject {
  return { type: 'tag', body: Buffer.from(`object ${object}\ntype ${type}\n${more}`) };
}

export function idOf(object: TestObject, format: ObjectFormat): Oid {
  return hashObject(object.type, object.body, format);
}

export function whole(object: TestObject): TestEntry {
  return { kind: KINDS[object.type], data: object.body };
}

export function refDelta(base: Oid, delta: Buffer): TestEntry {
  return { kind: 7, data: delta, base: Buffer.from(base, 'hex') };
}

/** @param back how many bytes before this entry the base begins; below 16,512 */
export function ofsDelta(back: number, delta: Buffer): TestEntry {
  const base = back < 128 ? [back] : [((back >> 7) - 1) | 0x80, back & 0x7f];
  return { kind: 6, data: delta, base: Buffer.from(base) };
}

/** Instructions that copy `copied` bytes from the start of the base, if any, and then insert `text`. */
export function delta(baseBytes: number, copied: number, text: string, resultBytes = copied + text.length): Buffer {
  const copy = copied === 0 ? [] : [0x80 | 0x10 | 0x20, copied & 0xff, copied >> 8];
  const insert = text.length === 0 ? [] : [text.length, ...Buffer.from(text)];
  return Buffer.from([...size(baseBytes), ...size(resultBytes), ...copy, ...insert]);
}

/** Bytes of an entry as it stands in a pack. */
export function encodeEntry({ kind, data, base, declaredSize = data.length, deflated }: TestEntry): Buffer {
  const header = [];
  let byte = (kind << 4) | (declaredSize & 15);
  for (let rest = Math.floor(declaredSize / 16); rest > 0; rest = Math.floor(rest / 128)) {
    header.push(byte | 0x80);
    byte = rest & 0x7f;
  }
  return Buffer.concat([Buffer.from([...header, byte]), base ?? Buffer.alloc(0), deflated ?? deflateSync(data)]);
}

export function buildPack(entries: readonly TestEntry[], format: ObjectFormat, shape: PackShape = {}): Buffer {
  const header = Buffer.alloc(12);
  header.write(shape.signature ?? 'PACK', 'latin1');
  header.writeUInt32BE(shape.version ?? 2, 4);
  header.writeUInt32BE(shape.count ?? entries.length, 8);
  const content = Buffer.concat([header, ...entries.map(encodeEntry)]);
  return Buffer.concat([content, shape.checksum ?? createHash(format).update(content).digest()]);
}

/** An empty bare repository, and a directory beside it for whatever a test needs. Both go with `remove`. */
export async function createTestRepository(
  format: ObjectFormat,
): Promise<{ root: string; gitDir: string; remove: () => Promise<void> }> {
  const root = await mkdtemp(join(tmpdir(), 'trivet-ingest-'));
  const gitDir = join(root, 'repository.git');
  const args = ['init', '--quiet', '--bare', `--object-format=${format}`, gitDir];
  await runGit(args, { gitDir: root, env: { GIT_DIR: gitDir } });
  return { root, gitDir, remove: () => rm(root, { recursive: true, force: true }) };
}

export async function* streamOf(bytes: Buffer, chunkBytes = 4096): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

function size(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest];
}
