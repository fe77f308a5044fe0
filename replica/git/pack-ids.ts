import { open, type FileHandle } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { oidLength, type ObjectFormat } from '@trivet/proto/object-format.ts';

// gitformat-pack(5), version 2 of the index.
const FAN_OUT_AT = 8;
const FAN_OUT_BYTES = 256 * 4;
const IDS_AT = FAN_OUT_AT + FAN_OUT_BYTES;
/** Ids that begin with one byte, held in memory at once: of packs with 1.6 million objects on average. */
const MAX_BUCKET_BYTES = 32 * 1024 * 1024;

/** An index whose ids can't be compared: another version, torn, or too large to be held in memory part by part. */
export class UnreadableIndex extends Error {}

/** The ids of a pack, as its index lists them: sorted, and 256 parts by their first byte. */
export class PackIds {
  readonly #file: FileHandle;
  readonly #oidBytes: number;
  readonly #ends: readonly number[];

  private constructor(file: FileHandle, oidBytes: number, ends: readonly number[]) {
    this.#file = file;
    this.#oidBytes = oidBytes;
    this.#ends = ends;
  }

  /** @throws UnreadableIndex; what the file system throws */
  static async open(path: string, format: ObjectFormat): Promise<PackIds> {
    const file = await open(path, 'r');
    try {
      const head = Buffer.alloc(IDS_AT);
      const { bytesRead } = await file.read(head, 0, IDS_AT, 0);
      if (bytesRead < IDS_AT || head.readUInt32BE(0) !== 0xff744f63 || head.readUInt32BE(4) !== 2) throw new UnreadableIndex(path);
      const ends = Array.from({ length: 256 }, (_, i) => head.readUInt32BE(FAN_OUT_AT + i * 4));
      return new PackIds(file, oidLength(format) / 2, ends);
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  get count(): number {
    return this.#ends[255]!;
  }

  async close(): Promise<void> {
    await this.#file.close();
  }

  /** Whether every object of `others` is in this pack too. Throws UnreadableIndex, what the file system throws, the signal's reason. */
  async includes(others: PackIds, signal: AbortSignal): Promise<boolean> {
    for (let first = 0; first < 256; first++) {
      if (others.#size(first) === 0) continue;
      if (others.#size(first) > this.#size(first)) return false;
      const [mine, theirs] = [await this.#bucket(first), await others.#bucket(first)];
      if (!isSubset(theirs, mine, this.#oidBytes)) return false;
      await setImmediate();
      signal.throwIfAborted();
    }
    return true;
  }

  #size(first: number): number {
    return this.#ends[first]! - (first === 0 ? 0 : this.#ends[first - 1]!);
  }

  async #bucket(first: number): Promise<Buffer> {
    const bytes = this.#size(first) * this.#oidBytes;
    if (bytes < 0 || bytes > MAX_BUCKET_BYTES) throw new UnreadableIndex();
    const ids = Buffer.alloc(bytes);
    const { bytesRead } = await this.#file.read(ids, 0, bytes, IDS_AT + (this.#ends[first]! - this.#size(first)) * this.#oidBytes);
    if (bytesRead < bytes) throw new UnreadableIndex();
    return ids;
  }
}

/** Both sorted. The steps through `many` double until they are too far: few ids in many cost few comparisons, and so do as many. */
function isSubset(few: Buffer, many: Buffer, oidBytes: number): boolean {
  const end = many.length / oidBytes;
  let low = 0;
  for (let i = 0; i < few.length; i += oidBytes) {
    const compare = (at: number) => many.compare(few, i, i + oidBytes, at * oidBytes, (at + 1) * oidBytes);
    let step = 1;
    while (low + step < end && compare(low + step) < 0) step *= 2;
    let high = Math.min(end, low + step);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(middle) < 0) low = middle + 1;
      else high = middle;
    }
    if (low >= end || compare(low) !== 0) return false;
  }
  return true;
}
