import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { runGit, startGit, type GitProcess } from '../git/process.ts';
import { PACK_HEADER_BYTES, rawOidLength } from './pack-parser.ts';
import type { PackSource } from './pack-source.ts';
import { packDirectoryOf } from './quarantine-files.ts';
import { reasonOf } from './reason.ts';

export interface IndexPackRequest {
  gitDir: string;
  objectFormat: ObjectFormat;
  /** The quarantine, which exists. */
  directory: string;
  /** What was read of the pack already. */
  prefix: readonly Buffer[];
  /** The rest of it. */
  source: PackSource;
  maxPackBytes: number;
  signal: AbortSignal;
}

/** What git found, or a reason that may be shown to the client. */
export type IndexPackResult = { ok: true; objects: number } | { ok: false; reason: string };

/**
 * Memory stays bounded whatever is pushed: blobs over 16 MiB that are no deltas go from the stream to the disk, one
 * thread holds one object, and resolved bases are dropped at 32 MiB. Measured with git 2.39: a peak of 19 MiB for
 * 500 MB of incompressible blobs of 10 to 100 MB.
 */
const CONFIG = [
  'core.bigFileThreshold=16m',
  'core.deltaBaseCacheLimit=32m',
  'pack.threads=1',
  // On disk before the vote, the index and its reverse too.
  'core.fsync=pack,pack-metadata',
  'core.fsyncMethod=fsync',
];

const STDOUT_LIMIT_BYTES = 64 * 1024;

/**
 * Lets `git index-pack --stdin --fix-thin --strict` take a pack into the quarantine: it checks every object and that
 * all links lead somewhere. Without `--keep` it leaves a pack, an index and perhaps a `.rev`, but no `.keep`.
 * @throws what the source throws, the signal's reason, `git_failed` or `disk_failure` when the fault is not the pack's
 */
export async function indexPack(request: IndexPackRequest): Promise<IndexPackResult> {
  const { gitDir, directory, maxPackBytes, source, signal } = request;
  const config = CONFIG.flatMap((setting) => ['-c', setting]);
  const args = [...config, 'index-pack', '--stdin', '--fix-thin', '--strict', `--max-input-size=${maxPackBytes}`];
  const git = startGit(args, { gitDir, env: quarantineEnvironment(gitDir, directory), signal });
  // The process must be gone before the directory is removed, or it would write on into it.
  try {
    // A git that is content has only to see the stream's end; one that is not wants no more of it.
    void git.done.then(({ code }) => { if (code !== 0) source.interrupt(); });
    let stdout = '';
    git.child.stdout.on('data', (chunk: Buffer) => {
      if (stdout.length < STDOUT_LIMIT_BYTES) stdout += chunk.toString('latin1');
    });
    const header = await feed(git, request);
    const { code, signal: killedBy, stderr } = await git.done;
    signal.throwIfAborted();
    if (source.bytes > maxPackBytes) return { ok: false, reason: 'pack exceeds maximum allowed size' };
    if (code === null) throw new TrivetError('git_failed', { args: ['index-pack'], code, signal: killedBy, stderr });
    if (code !== 0) return { ok: false, reason: reasonOf(stderr) };
    const name = /^pack\t([0-9a-f]+)$/m.exec(stdout)?.[1];
    if (name === undefined) throw new TrivetError('git_failed', { args: ['index-pack'], code, stdout, stderr });
    const path = join(packDirectoryOf(directory), `pack-${name}`);
    const objects = header.readUInt32BE(8);
    // git stops reading where the pack ends, and does not look whether more was sent.
    if (!source.ended || source.bytes !== await receivedPackBytes(path, objects, request.objectFormat)) {
      return { ok: false, reason: 'bytes after the end of the pack' };
    }
    return { ok: true, objects };
  } finally {
    git.kill();
    await git.done;
  }
}

/**
 * Types of objects in the quarantine or in the store, in the order asked; undefined for one that isn't there.
 * Throws `git_failed`.
 */
export async function typesWithQuarantine(
  gitDir: string, directory: string, oids: readonly Oid[], signal: AbortSignal,
): Promise<(ObjectType | undefined)[]> {
  if (oids.length === 0) return [];
  const output = await runGit(['cat-file', '--batch-check=%(objecttype)'], {
    gitDir, env: quarantineEnvironment(gitDir, directory), signal, input: oids.map((oid) => `${oid}\n`).join(''),
  });
  const lines = output.toString('latin1').split('\n');
  return oids.map((_, i) => TYPES.find((type) => type === lines[i]));
}

/**
 * Whether everything reachable from `tips` is in the quarantine or in the store, by the walk that git-receive-pack(1)
 * does. Throws `git_failed` when git is killed.
 */
export async function isConnected(
  gitDir: string, directory: string, tips: readonly Oid[], signal: AbortSignal,
): Promise<boolean> {
  const git = startGit(['rev-list', '--objects', '--stdin', '--not', '--all', '--quiet'], {
    gitDir, env: quarantineEnvironment(gitDir, directory), signal,
  });
  git.child.stdout.resume();
  git.child.stdin.end(tips.map((oid) => `${oid}\n`).join(''));
  const { code, stderr } = await git.done;
  signal.throwIfAborted();
  if (code === null) throw new TrivetError('git_failed', { args: ['rev-list'], code, stderr });
  return code === 0;
}

/** Lets git write into the quarantine and read the store as well. */
export function quarantineEnvironment(gitDir: string, directory: string): Record<string, string> {
  const store = join(gitDir, 'objects').replace(/["\\]/g, '\\$&');
  return {
    GIT_OBJECT_DIRECTORY: directory,
    // Quoted: a colon in the path would end it otherwise.
    GIT_ALTERNATE_OBJECT_DIRECTORIES: `"${store}"`,
    GIT_NO_REPLACE_OBJECTS: '1',
  };
}

const TYPES: readonly ObjectType[] = ['commit', 'tree', 'blob', 'tag'];

/** Writes the whole pack to git, no faster than it reads, and returns the pack's header. */
async function feed(git: GitProcess, { prefix, source, maxPackBytes }: IndexPackRequest): Promise<Buffer> {
  const { stdin } = git.child;
  let header = Buffer.alloc(0);
  const write = async (chunk: Buffer): Promise<void> => {
    if (header.length < PACK_HEADER_BYTES) header = Buffer.concat([header, chunk]).subarray(0, PACK_HEADER_BYTES);
    if (!stdin.write(chunk) && !stdin.destroyed) await drained(stdin);
  };
  for (const chunk of prefix) await write(chunk);
  for (;;) {
    const chunk = await source.next();
    // Whatever comes after git has ended is too much.
    if (chunk === undefined || git.child.exitCode !== null) break;
    if (source.bytes > maxPackBytes) {
      git.kill();
      break;
    }
    await write(chunk);
  }
  stdin.end();
  return header;
}

/** Resolves when more may be written, and also when nothing can be any more because git has closed its input. */
async function drained(stdin: Writable): Promise<void> {
  return new Promise((resolve) => {
    const wake = () => {
      stdin.off('drain', wake).off('close', wake);
      resolve();
    };
    stdin.on('drain', wake).on('close', wake);
  });
}

/**
 * How long the pack was before git appended the bases that a thin one lacks: the objects beyond the number in the
 * received header are the last ones, and the received checksum stood where the first of them begins now.
 */
async function receivedPackBytes(path: string, receivedObjects: number, format: ObjectFormat): Promise<number> {
  const oidBytes = rawOidLength(format);
  const finalBytes = (await stat(`${path}.pack`)).size;
  const finalObjects = await countObjects(`${path}.pack`);
  if (finalObjects === receivedObjects) return finalBytes;
  const offsets = readOffsets(await readFile(`${path}.idx`), finalObjects, oidBytes).sort();
  return offsets[receivedObjects]! + oidBytes;
}

async function countObjects(packPath: string): Promise<number> {
  const file = await open(packPath, 'r');
  try {
    const header = Buffer.alloc(PACK_HEADER_BYTES);
    await file.read(header, 0, PACK_HEADER_BYTES, 0);
    return header.readUInt32BE(8);
  } finally {
    await file.close();
  }
}

/** The offsets in an index of version 2, gitformat-pack(5). */
function readOffsets(index: Buffer, objects: number, oidBytes: number): Float64Array {
  const narrowAt = 8 + 256 * 4 + objects * (oidBytes + 4);
  const wideAt = narrowAt + objects * 4;
  return Float64Array.from({ length: objects }, (_, i) => {
    const offset = index.readUInt32BE(narrowAt + i * 4);
    return offset < 0x80000000 ? offset : Number(index.readBigUInt64BE(wideAt + (offset - 0x80000000) * 8));
  });
}
