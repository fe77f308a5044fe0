import { commit, modify } from './fast-import.ts';
import { Random } from './random.ts';

const FILES = 800;
const SMALLEST_BYTES = 10_000;
/** Of the size, from the smallest to the largest file: from 10 KB to 10 MB, evenly over the orders of magnitude. */
const LARGEST_TIMES = 1_000;
const FIRST_SECOND = 1_600_000_000;

/**
 * A branch of files that don't compress, as input for git-fast-import(1): images, fonts, archives, of 10 KB to 10 MB,
 * a few in each commit, the later ones replacing earlier ones, until so many bytes have been written.
 */
export function* assetHistory(bytes: number): Generator<Buffer> {
  const random = new Random('assets');
  let written = 0;
  for (let mark = 1; written < bytes; mark++) {
    yield commit({
      ref: 'refs/heads/assets',
      mark,
      seconds: FIRST_SECOND + 3_600 * mark,
      message: `assets ${mark}`,
      from: mark === 1 ? undefined : mark - 1,
    });
    for (let files = 1 + random.below(5); files > 0 && written < bytes; files--) {
      const size = Math.round(SMALLEST_BYTES * LARGEST_TIMES ** random.fraction());
      const file = random.below(FILES);
      yield modify(`assets/${file % 20}/${file}.bin`, random.bytes(size));
      written += size;
    }
  }
}
