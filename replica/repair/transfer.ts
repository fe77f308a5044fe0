import { mkdir, open, rm, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from '@trivet/proto/chunks-of.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { hashFile, TrailerHash, type Trailer } from '../git/trailer.ts';
import type { Pace } from '../serve/pace.ts';
import type { RoundProgress } from './progress.ts';
import type { Source } from './source.ts';

/** A pack, or one of its two files, that is to come. */
export interface WantedPack {
  name: string;
  bytes: number;
  indexBytes: number;
  /** The checksum of the pack that is here already and sound; only the index is asked for then. */
  havePack?: string;
}

/** What a transfer works with. */
export interface Transfer {
  source: Source;
  objectFormat: ObjectFormat;
  /** Where files wait until they are whole and checked. What lies there from an earlier attempt is gone on with. */
  into: string;
  pace: Pace | undefined;
  progress: RoundProgress;
  signal: AbortSignal;
}

/** Packs on their way at once. Hashing is the bottleneck, and this process does one at a time; more would only wait. */
const AT_ONCE = 4;
/** A broken connection is tried again so often without a single byte between. */
const MAX_VAIN_ATTEMPTS = 5;
const RETRY_MS = 100;
/** A large index has a reverse index beside it, which would cost a sort for every clone if it were missing. */
const LARGE_INDEX_BYTES = 1024 * 1024;

const UNSOUND: Trailer = { sound: false, checksum: '', before: '' };

/** The source no longer has a pack it listed: its packs were combined, and it has to be asked for the list again. */
export class PackGone extends Error {}

/**
 * Brings packs and their indexes from the source, several at once, each checked by its own checksum and the index against
 * its pack. Nothing of it is in the store yet, nor certainly on the disk.
 * @returns the names of the files that are complete in `into`
 * @throws PackGone; TrivetError node_unreachable, disk_failure, and repair_failed naming a pack that is wrong at the source
 */
export async function transferPacks(wanted: readonly WantedPack[], transfer: Transfer): Promise<string[]> {
  const { progress } = transfer;
  progress.totalBytes = progress.bytes + wanted.reduce((sum, pack) => sum + (pack.havePack === undefined ? pack.bytes : 0) + pack.indexBytes, 0);
  await onDisk(() => mkdir(transfer.into, { recursive: true }));
  const failed = new AbortController();
  const signal = AbortSignal.any([transfer.signal, failed.signal]);
  const files: string[] = [];
  const waiting = wanted.values();
  const work = async () => {
    for (const pack of waiting) files.push(...await transferPack(pack, { ...transfer, signal }));
  };
  const workers = Array.from({ length: AT_ONCE }, () => work().catch((error: unknown) => {
    failed.abort(error);
    throw error;
  }));
  // None may go on writing behind the back of who cleans up.
  await Promise.allSettled(workers);
  transfer.signal.throwIfAborted();
  if (failed.signal.aborted) throw failed.signal.reason;
  return files;
}

async function transferPack(pack: WantedPack, transfer: Transfer): Promise<string[]> {
  const files: string[] = [];
  let checksum = pack.havePack;
  if (checksum === undefined) {
    ({ checksum } = await transferFile(`${pack.name}.pack`, pack.bytes, transfer));
    transfer.progress.objects += await objectsIn(join(transfer.into, `${pack.name}.pack`));
    files.push(`${pack.name}.pack`);
  }
  for (const suffix of pack.indexBytes > LARGE_INDEX_BYTES ? ['.idx', '.rev'] : ['.idx']) {
    const file = `${pack.name}${suffix}`;
    const trailer = await transferFile(file, suffix === '.idx' ? pack.indexBytes : undefined, transfer).catch((error: unknown) => {
      // git needs none, and makes none before 2.41 unless told to.
      if (suffix === '.rev' && error instanceof PackGone) return undefined;
      throw error;
    });
    if (trailer === undefined) continue;
    if (trailer.before !== checksum) {
      await rm(join(transfer.into, file), { force: true });
      throw new TrivetError('repair_failed', { source: transfer.source.url, file, problem: 'it belongs to another pack' });
    }
    files.push(file);
  }
  return files;
}

/**
 * Brings one file, going on where an earlier attempt stopped. What lies here from before is hashed first: if it turns out
 * to be wrong, as after a loss of power, the file is brought anew once.
 * @param size undefined when only the source knows; then nothing is gone on with
 */
async function transferFile(name: string, size: number | undefined, transfer: Transfer): Promise<Trailer> {
  const path = join(transfer.into, name);
  const { progress } = transfer;
  const countedBefore = progress.bytes;
  const hash = new TrailerHash(transfer.objectFormat);
  const kept = size === undefined ? 0 : await onDisk(() => hashFile(path, hash, transfer.signal).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return 0;
    throw error;
  }));
  progress.bytes += kept;
  const trailer = kept > 0 && kept === size ? hash.finish() : await receive(name, path, kept, hash, transfer);
  if (trailer.sound) return trailer;
  progress.bytes = countedBefore;
  await onDisk(() => rm(path, { force: true }));
  if (kept > 0) return transferFile(name, size, transfer);
  throw new TrivetError('repair_failed', { source: transfer.source.url, file: name, problem: 'its checksum is wrong' });
}

/** Appends to the `kept` bytes until the file is as long as the source's; a broken connection is made anew. */
async function receive(name: string, path: string, kept: number, hash: TrailerHash, transfer: Transfer): Promise<Trailer> {
  const { source, signal } = transfer;
  const file = await onDisk(() => open(path, kept === 0 ? 'w' : 'r+'));
  let at = kept;
  try {
    for (let vain = 0; ;) {
      const before = at;
      try {
        const answer = await source.open(name, at);
        if (answer === undefined) throw new PackGone(name);
        // What is here is longer than the source's file, or the source can't begin in the middle.
        if (answer.from !== at) {
          discard(answer.body);
          return UNSOUND;
        }
        for await (const chunk of bytesOf(answer.body, transfer)) {
          await onDisk(() => writeAll(file, chunk, at));
          hash.update(chunk);
          at += chunk.length;
        }
        if (at === answer.size) return hash.finish();
      } catch (error) {
        signal.throwIfAborted();
        if (error instanceof PackGone || (error instanceof TrivetError && error.code !== 'node_unreachable')) throw error;
        vain = at === before ? vain + 1 : 0;
        if (vain >= MAX_VAIN_ATTEMPTS) throw new TrivetError('node_unreachable', { source: source.url, file: name }, { cause: error });
      }
      await sleep(RETRY_MS * 2 ** vain, undefined, { signal });
    }
  } finally {
    await file.close();
  }
}

/** The chunks of an answer, no faster than agreed, and counted. Given up half-way, the connection is closed. */
async function* bytesOf(body: Readable, { pace, progress, signal }: Transfer): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of chunksOf(body)) {
      await pace?.take(chunk.length, signal);
      progress.bytes += chunk.length;
      yield chunk;
    }
  } finally {
    discard(body);
  }
}

function discard(body: Readable): void {
  body.on('error', () => {});
  body.destroy();
}

async function writeAll(file: FileHandle, bytes: Buffer, position: number): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await file.write(bytes, written, bytes.length - written, position + written)).bytesWritten;
  }
}

/** The number of objects in a pack, by its header. */
async function objectsIn(path: string): Promise<number> {
  const file = await open(path, 'r');
  try {
    return (await file.read(Buffer.alloc(4), 0, 4, 8)).buffer.readUInt32BE(0);
  } finally {
    await file.close();
  }
}

async function onDisk<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof TrivetError || (cause instanceof Error && cause.name === 'AbortError')) throw cause;
    throw new TrivetError('disk_failure', { operation: 'bring a pack' }, { cause });
  }
}
