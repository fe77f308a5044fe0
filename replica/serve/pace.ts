import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { chunksOf } from '@trivet/proto/chunks-of.ts';

/** Of a paced stream, so much goes out at once: a twentieth of a second's worth, and not less than this. */
const MIN_SLICE_BYTES = 1024;
const SLICES_PER_SECOND = 20;

/** Bytes a second, shared by everybody who takes from it. */
export class Pace {
  readonly bytesPerSecond: number;
  /** When the bytes taken so far will be used up, in milliseconds of `performance.now`. */
  #usedUpAtMs = 0;

  constructor(bytesPerSecond: number) {
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Waits for its turn, for so long as the bytes taken before need. Rejects with the signal's reason. */
  async take(bytes: number, signal?: AbortSignal): Promise<void> {
    const now = performance.now();
    const startAtMs = Math.max(now, this.#usedUpAtMs);
    this.#usedUpAtMs = startAtMs + bytes * 1000 / this.bytesPerSecond;
    if (startAtMs > now) await sleep(startAtMs - now, undefined, signal && { signal });
    else signal?.throwIfAborted();
  }
}

/** The same bytes, no more of them a second than `pace` allows. It ends, fails and is given up together with `stream`. */
export function paced(stream: Readable, pace: Pace): Readable {
  return Readable.from(slices(stream, pace), { objectMode: false });
}

async function* slices(stream: Readable, pace: Pace): AsyncGenerator<Buffer> {
  const size = Math.max(MIN_SLICE_BYTES, Math.floor(pace.bytesPerSecond / SLICES_PER_SECOND));
  let whole = false;
  try {
    for await (const chunk of chunksOf(stream)) {
      for (let at = 0; at < chunk.length; at += size) {
        const slice = chunk.subarray(at, at + size);
        await pace.take(slice.length);
        yield slice;
      }
    }
    whole = true;
  } finally {
    if (!whole) stream.destroy();
  }
}
