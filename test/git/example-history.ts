import { commit, data, modify } from '../../bench/repositories/fast-import.ts';
import { Random } from '../../bench/repositories/random.ts';

/** Midnight of 2020-01-01 UTC; every commit object of the example is a day younger than the one before. */
const FIRST_SECOND = 1_577_836_800;
const DAY_SECONDS = 86_400;

/** The day of the example's n-th commit object, as `--shallow-since` takes it. */
export function dayOf(n: number): string {
  return new Date((FIRST_SECOND + n * DAY_SECONDS) * 1_000).toISOString().slice(0, 10);
}

/**
 * Input for git-fast-import(1): 30 commit objects on `main`, of which number 20 merges `side`; `other` leaves `main` at
 * number 12. `v1` and `v2` are annotated tags of `main` at 5 and 25, `v1-signed-off` is a tag of the tag `v1`, `light`
 * a light one at 7, and `other-1.0` belongs to `other`.
 */
export function* exampleHistory(): Generator<Buffer> {
  const random = new Random('example');
  const tips = { main: 0, side: 0, other: 0 };
  let mark = 0;
  const marks: number[] = [];
  const begin = (branch: keyof typeof tips, day: number, merge?: number) => {
    const from = tips[branch] === 0 ? undefined : tips[branch];
    tips[branch] = ++mark;
    return commit({ ref: `refs/heads/${branch}`, mark, seconds: FIRST_SECOND + day * DAY_SECONDS, message: `${branch} ${day}`, from, merge });
  };
  for (let day = 0; day < 30; day++) {
    if (day === 20) {
      for (const step of [16, 17, 18]) {
        if (tips.side === 0) tips.side = marks[15]!;
        yield begin('side', step);
        yield modify(`side/${step}.txt`, `side ${step}`);
      }
    }
    yield begin('main', day, day === 20 ? tips.side : undefined);
    if (day === 20) for (const step of [16, 17, 18]) yield modify(`side/${step}.txt`, `side ${step}`);
    marks.push(mark);
    yield modify('source/deep/nested/file.txt', `day ${day}\n`.repeat(20));
    yield modify('README', `${day}\n`);
    yield modify('binary', random.bytes(20_000));
    if (day === 0) yield modify('sparse-filter', '/source/\n/README\n');
  }
  tips.other = marks[12]!;
  for (const day of [31, 32, 33]) {
    yield begin('other', day);
    yield modify('other', `${day}\n`);
  }
  yield tag('v1', `:${marks[5]!}`);
  yield tag('v2', `:${marks[25]!}`);
  yield tag('other-1.0', `:${tips.other}`);
  yield Buffer.from(`reset refs/tags/light\nfrom :${marks[7]!}\n\n`);
}

function tag(name: string, from: string): Buffer {
  return Buffer.concat([Buffer.from(`tag ${name}\nfrom ${from}\ntagger A <a@example.org> ${FIRST_SECOND} +0000\n`), data(`tag ${name}`)]);
}
