import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import test from 'ava';

// docs/reliability.md names a test for each cell of its grid: this keeps the two equal.

const DOCS = resolve(import.meta.dirname, '../docs');
const text = readFileSync(join(DOCS, 'reliability.md'), 'utf8');
const named = [...text.matchAll(/^(\d+)\. \[[\w-]+\]\(([^)]+)\) "(.+)"$/gm)].map(([, number, path, title]) => ({ number: number!, path: path!, title: title! }));
const cells = [...text.matchAll(/^\| (?!step|-)[^|]+\|(.+)\|$/gm)].map(([, row]) => row!.split('|').map((cell) => cell.trim())).filter((row) => row.length === 10);

test('every test that the fault grid names is there', (t) => {
  t.deepEqual(named.map(({ number }) => Number(number)), named.map((_, i) => i + 1));
  for (const { number, path, title } of named) {
    const source = readFileSync(join(DOCS, path), 'utf8').replaceAll("\\'", "'");
    t.true(source.includes(title), `${number}: ${path} has no test "${title}"`);
  }
});

test('every cell of the fault grid names a test, a proof that draws it, or that there is nothing to fail', (t) => {
  t.true(cells.length >= 15);
  for (const cell of cells.flat()) t.regex(cell, /^(–|((\d+|S|C) ?)+)$/, `"${cell}"`);
  const used = new Set(cells.flat().flatMap((cell) => cell.match(/\d+/g) ?? []));
  t.deepEqual(named.filter(({ number }) => !used.has(number)), []);
});

test('control: a title that no test has is noticed', (t) => {
  const { path } = named[0]!;
  t.false(readFileSync(join(DOCS, path), 'utf8').includes('a test that nobody has written'));
});
