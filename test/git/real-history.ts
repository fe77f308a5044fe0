import { commit, data, modify } from '../../bench/repositories/fast-import.ts';
import { Random } from '../../bench/repositories/random.ts';

const COMMITS = 3_000;
const BRANCHES = 200;
const TAGS = 300;
const FILES = 120;
const FIRST_SECOND = 1_500_000_000;

/**
 * A seeded project's history as input for git-fast-import(1): 3,000 commit objects on `main` and short topics of which
 * many are merged, 200 branches, 300 tags (annotated, light, and tags of tags), files that are edited, renamed, copied,
 * deleted, made executable, symbolic links, binary files, and a submodule.
 */
export function* realHistory(seed: string): Generator<Buffer> {
  const random = new Random(seed);
  const paths = Array.from({ length: FILES }, (_, i) => `part-${i % 9}/area-${i % 5}/file-${i}.txt`);
  const marks: number[] = [];
  let mark = 0;
  let main: number | undefined;
  let topic: { ref: string; tip: number } | undefined;
  const begin = (ref: string, from?: number, merge?: number) => {
    mark++;
    marks.push(mark);
    return commit({ ref, mark, seconds: FIRST_SECOND + mark * 3_600, message: `${ref} ${mark}: ${words(random, 12)}`, from, merge });
  };
  while (mark < COMMITS) {
    if (topic !== undefined && random.below(5) > 0) {
      yield begin(topic.ref, topic.tip);
      topic.tip = mark;
    } else if (topic !== undefined) {
      yield begin('refs/heads/main', main, topic.tip);
      main = mark;
      topic = undefined;
    } else {
      yield begin('refs/heads/main', main);
      main = mark;
      if (random.below(6) === 0) topic = { ref: 'refs/heads/work', tip: mark };
    }
    yield* changes(random, paths, mark, topic === undefined);
  }
  for (let i = 0; i < BRANCHES; i++) yield reset(`refs/heads/team-${i % 7}/branch-${i}`, marks[random.below(marks.length)]!);
  for (let i = 0; i < TAGS; i++) {
    const at = marks[random.below(marks.length)]!;
    if (i % 3 === 0) {
      yield reset(`refs/tags/light/${i}`, at);
    } else {
      const head = `tag v${i}\nmark :${COMMITS + 1_000 + i}\nfrom :${i % 30 === 1 && i > 1 ? COMMITS + 1_000 + i - 30 : at}\ntagger A <a@example.org> ${FIRST_SECOND + i} +0200\n`;
      yield Buffer.concat([Buffer.from(head), data(words(random, 20))]);
    }
  }
}

/** @param settled no topic is open, so that what is renamed here is where every later commit object looks for it */
function* changes(random: Random, paths: string[], mark: number, settled: boolean): Generator<Buffer> {
  for (let edits = 1 + random.below(3); edits > 0; edits--) {
    yield modify(random.skewed(paths), Array.from({ length: 10 + random.below(60) }, () => words(random, 8)).join('\n'));
  }
  if (mark === 1) {
    for (const path of paths) yield modify(path, words(random, 100));
    yield Buffer.concat([Buffer.from('M 120000 inline link\n'), data('part-0/area-0/file-0.txt')]);
    yield Buffer.from(`M 160000 ${'5'.repeat(40)} submodule\n`);
  }
  if (settled && mark % 37 === 0) {
    const i = random.below(paths.length);
    const renamed = `moved-${mark % 11}/file-${mark}-${i}.txt`;
    yield Buffer.from(`R ${paths[i]!} ${renamed}\n`);
    paths[i] = renamed;
  }
  if (mark % 53 === 0) yield modify(`binary/${mark % 20}.bin`, random.bytes(500 + random.below(6_000)));
  if (mark % 101 === 0) yield Buffer.concat([Buffer.from(`M 100755 inline tools/run-${mark % 4}\n`), data(`#!/bin/sh\necho ${mark}\n`)]);
  if (settled && mark % 71 === 0) yield Buffer.from(`C ${paths[0]!} copies/${mark % 3}.txt\n`);
  if (settled && mark % 97 === 0) yield Buffer.from('D copies/1.txt\n');
}

function reset(ref: string, mark: number): Buffer {
  return Buffer.from(`reset ${ref}\nfrom :${mark}\n\n`);
}

function words(random: Random, count: number): string {
  return Array.from({ length: count }, () => random.below(5_000).toString(36)).join(' ');
}
