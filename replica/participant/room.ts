import { statfsSync } from 'node:fs';

/** Bytes of a pack between two looks at the disk: few enough to stay clear of the end of any reserve. */
const BYTES_BETWEEN_LOOKS = 8 * 1024 * 1024;

/**
 * Whether the file system of a directory has more room than what is kept back for commits and the journal. One look takes
 * some microseconds, and unlike an asynchronous one doesn't wait behind the fsyncs of others.
 */
export function roomIn(directory: string, reserveBytes: number): () => boolean {
  return () => {
    try {
      return roomBytes(directory) >= reserveBytes;
    } catch {
      return false;
    }
  };
}

/** Bytes that are free on the file system of a directory. Throws what the file system throws. */
export function roomBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

/** A pack, for as long as `look` doesn't throw. */
export async function* lookingWhile(pack: AsyncIterable<Buffer>, look: () => void): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of pack) {
    bytes += chunk.length;
    if (bytes >= BYTES_BETWEEN_LOOKS) {
      bytes = 0;
      look();
    }
    yield chunk;
  }
}
