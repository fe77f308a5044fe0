import { readdirSync, readFileSync, lstatSync, type Dirent } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { isOid, isZeroOid, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { isRefName } from '@trivet/proto/ref-name.ts';
import { isFileError, malformedRefs } from './malformed-refs.ts';
import { PACKED_REFS, parsePackedRefs } from './packed-refs.ts';

/** Files read before others get their turn: 256 from the page cache take about 5 ms. */
const FILES_PER_TURN = 256;

/** A repository's refs as its files have them. */
export interface ScannedRefs {
  head: string;
  refs: Map<string, Oid>;
  /** Names that have a file of their own, which overrides packed-refs. */
  loose: Set<string>;
  peeled: Map<Oid, Oid>;
}

/**
 * Reads HEAD, every loose ref and packed-refs, in git's order: a ref that is being packed while we read is in
 * packed-refs before its file goes, so it is found in one of them at least.
 *
 * @throws TrivetError `internal` naming the file when HEAD is not symbolic, a ref is, or anything is malformed
 */
export async function scanRefs(gitDir: string, format: ObjectFormat): Promise<ScannedRefs> {
  const head = readHead(gitDir);
  const found = new Map<string, Oid>();
  let files = 0;
  for (const [name, entry] of filesBelow(gitDir, 'refs')) {
    if (name.endsWith('.lock') || entry.name.startsWith('.')) continue; // as git does
    const oid = readLooseRef(gitDir, name, entry, format);
    if (oid !== undefined) found.set(name, oid);
    if (++files % FILES_PER_TURN === 0) await setImmediate();
  }
  const { refs, peeled } = readPackedRefs(gitDir, format);
  for (const [name, oid] of found) refs.set(name, oid);
  return { head, refs, loose: new Set(found.keys()), peeled };
}

/** Every file below a directory of the repository, with its path relative to the repository; directories as they come. */
export function* filesBelow(gitDir: string, directory: string): Generator<[path: string, entry: Dirent]> {
  for (const entry of listDirectory(`${gitDir}/${directory}`)) {
    const path = `${directory}/${entry.name}`;
    // A name that isn't UTF-8 was changed by decoding, and then there is nothing under the changed name.
    if (entry.name.includes('\ufffd') && lstatSync(`${gitDir}/${path}`, { throwIfNoEntry: false }) === undefined) {
      throw malformedRefs(path, 'the name is not valid UTF-8');
    }
    if (entry.isDirectory()) yield* filesBelow(gitDir, path);
    else yield [path, entry];
  }
}

/** A file's content; undefined when there is none, or a directory in its place. */
export function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isFileError(error, 'ENOENT', 'EISDIR')) return undefined;
    throw error;
  }
}

function readHead(gitDir: string): string {
  const content = readIfThere(`${gitDir}/HEAD`)?.toString('utf8');
  const target = content?.match(/^ref:\s*(\S+)\s*$/)?.[1];
  if (target === undefined || !isRefName(target)) throw malformedRefs('HEAD', 'is not a symbolic ref');
  return target;
}

function readLooseRef(gitDir: string, name: string, entry: Dirent, format: ObjectFormat): Oid | undefined {
  if (!isRefName(name)) throw malformedRefs(name, 'not a ref name');
  if (!entry.isFile()) throw malformedRefs(name, 'neither a file nor a directory');
  const content = readIfThere(`${gitDir}/${name}`)?.toString('latin1');
  if (content === undefined) return undefined; // packed or deleted since the directory was read
  if (content.startsWith('ref:')) throw malformedRefs(name, 'a symbolic ref other than HEAD');
  const oid = content.trimEnd();
  if (!isOid(oid, format) || isZeroOid(oid)) throw malformedRefs(name, 'its file holds no object id');
  return oid;
}

function readPackedRefs(gitDir: string, format: ObjectFormat) {
  const content = readIfThere(`${gitDir}/${PACKED_REFS}`);
  return content === undefined ? { refs: new Map<string, Oid>(), peeled: new Map<Oid, Oid>() } : parsePackedRefs(content, format);
}

function listDirectory(path: string): Dirent[] {
  try {
    return readdirSync(path, { withFileTypes: true });
  } catch (error) {
    if (isFileError(error, 'ENOENT', 'ENOTDIR')) return []; // removed or replaced since its parent was read
    throw error;
  }
}
