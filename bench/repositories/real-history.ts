import { commit, data, modify } from './fast-import.ts';
import { Random } from './random.ts';

const COMMITS = 8_000;
const FILES = 600;
const WORDS = 8_000;
const RELEASE_EVERY = 100;
const BRANCH_EVERY = 250;
const IMAGE_EVERY = 40;
const FIRST_SECOND = 1_500_000_000;
const AUTHORS = ['Ada', 'Barbara', 'Edsger', 'Grace', 'Ken', 'Radia', 'Tony'];

/**
 * A project's history as input for git-fast-import(1): 600 files of text in nested folders, 8,000 commits that each
 * change a few lines in a few files (some files far more often than others), feature branches of which every other is
 * merged, a release tag for every hundred commits, and now and then an image that doesn't compress.
 * @param project puts its name and a slash before every branch and tag, and makes it another history
 */
export function* realHistory(project = ''): Generator<Buffer> {
  const random = new Random(`a real repository${project}`);
  const folderOfRefs = project === '' ? '' : `${project}/`;
  const branch = (name: string) => `refs/heads/${folderOfRefs}${name}`;
  const words = Array.from({ length: WORDS }, () => word(random));
  const files = Array.from({ length: FILES }, (_, i) => ({
    path: `${folder(random, words)}/${random.skewed(words)}-${i}.txt`,
    lines: Array.from({ length: 20 + random.below(400) }, () => line(random, words)),
  }));
  let mark = 0;
  let seconds = FIRST_SECOND;
  const begin = (ref: string, from?: number, merge?: number) => {
    seconds += 60 + random.below(20_000);
    const message = Array.from({ length: 1 + random.below(4) }, () => line(random, words)).join('\n');
    return commit({ ref, mark: ++mark, seconds, message, from, merge, author: random.skewed(AUTHORS) });
  };

  yield begin(branch('main'));
  for (const file of files) yield modify(file.path, file.lines.join('\n'));
  let main = mark;
  for (let i = 1; i < COMMITS; i++) {
    if (i % BRANCH_EVERY === 0) {
      const ref = branch(`feature/${i / BRANCH_EVERY}`);
      let tip = main;
      for (let step = 0; step < 5; step++) {
        yield begin(ref, tip);
        yield modify(`features/${i}/${step}.txt`, Array.from({ length: 60 }, () => line(random, words)).join('\n'));
        tip = mark;
      }
      const merged = (i / BRANCH_EVERY) % 2 === 0;
      yield begin(branch('main'), main, merged ? tip : undefined);
    } else {
      yield begin(branch('main'), main);
    }
    main = mark;
    for (let touched = 1 + random.below(4); touched > 0; touched--) {
      const file = random.skewed(files);
      edit(file.lines, random, words);
      yield modify(file.path, file.lines.join('\n'));
    }
    if (i % IMAGE_EVERY === 0) {
      yield modify(`images/${random.below(60)}.bin`, random.bytes(8_000 + random.below(80_000)));
    }
    if (i % RELEASE_EVERY === 0) yield tag(`${folderOfRefs}v${i / RELEASE_EVERY}.0`, main, seconds, line(random, words));
  }
}

function tag(name: string, mark: number, seconds: number, message: string): Buffer {
  const head = `tag ${name}\nfrom :${mark}\ntagger Ada <bench@example.org> ${seconds} +0000\n`;
  return Buffer.concat([Buffer.from(head), data(message)]);
}

/** Replaces, adds or takes away a few neighbouring lines. */
function edit(lines: string[], random: Random, words: readonly string[]): void {
  const at = random.below(lines.length);
  const removed = random.below(Math.min(6, lines.length - at));
  lines.splice(at, removed, ...Array.from({ length: 1 + random.below(8) }, () => line(random, words)));
}

function line(random: Random, words: readonly string[]): string {
  const indent = '  '.repeat(random.below(4));
  return indent + Array.from({ length: 3 + random.below(9) }, () => random.skewed(words)).join(' ');
}

function folder(random: Random, words: readonly string[]): string {
  const top = ['source', 'test', 'documents', 'tools'] as const;
  return [random.skewed(top), ...Array.from({ length: random.below(3) }, () => words[random.below(12)]!)].join('/');
}

function word(random: Random): string {
  const vowels = 'aeiou';
  const consonants = 'bcdfghklmnprstvw';
  let text = '';
  for (let syllables = 1 + random.below(4); syllables > 0; syllables--) {
    text += consonants[random.below(consonants.length)]! + vowels[random.below(vowels.length)]!;
  }
  return text;
}
