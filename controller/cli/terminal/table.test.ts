import test from 'ava';
import { ansiPaint } from './paint.ts';
import { printable } from './printable.ts';
import { record, table, type Column } from './table.ts';

interface Row { name: string; count: number; detail: string }
const COLUMNS: Column<Row>[] = [
  { title: 'NAME', cell: (row) => row.name }, { title: 'N', cell: (row) => String(row.count), right: true }, { title: 'DETAIL', cell: (row) => row.detail },
];

test('columns are as wide as what is in them, and no line ends in blanks', (t) => {
  t.deepEqual(table([{ name: 'a', count: 1, detail: 'one' }, { name: 'longer', count: 1000, detail: '' }], COLUMNS), [
    'NAME       N  DETAIL',
    'a          1  one',
    'longer  1000',
  ]);
});

test('without rows there are the titles', (t) => {
  t.deepEqual(table([], COLUMNS), ['NAME  N  DETAIL']);
});

test('the last column is broken between words to fit the terminal', (t) => {
  t.deepEqual(table([{ name: 'a', count: 1, detail: 'some words that are more than fit' }], COLUMNS, { width: 30 }), [
    'NAME  N  DETAIL',
    'a     1  some words that are',
    '         more than fit',
  ]);
});

test('a word that is longer than the terminal is broken where it must be', (t) => {
  t.deepEqual(table([{ name: 'a', count: 1, detail: 'x'.repeat(45) }], COLUMNS, { width: 30 }).slice(1), [
    `a     1  ${'x'.repeat(21)}`, `         ${'x'.repeat(21)}`, '         xxx',
  ]);
});

test('nothing is broken where there is no terminal, or hardly one', (t) => {
  const row = { name: 'a', count: 1, detail: 'word '.repeat(50).trim() };
  t.is(table([row], COLUMNS).length, 2);
  t.is(table([row], COLUMNS, { width: 20 }).length, 2);
});

test('colours take no room', (t) => {
  const columns: Column<Row>[] = [{ title: 'NAME', cell: (row) => ({ text: row.name, tone: 'bad' }) }, ...COLUMNS.slice(1)];
  const [, line] = table([{ name: 'a', count: 1, detail: 'one' }], columns, { paint: ansiPaint });
  t.is(line, '\x1b[31ma\x1b[39m     1  one');
});

test('what a cell holds can neither break the table nor reach the terminal', (t) => {
  const [, line, ...more] = table([{ name: 'a\nb', count: 1, detail: 'x\x1b[2J\x1b]0;title\x07\ty' }], COLUMNS);
  t.is(line, 'a b   1  x y');
  t.deepEqual(more, []);
});

test('a text of somebody else becomes one harmless line', (t) => {
  const cases: [string, string][] = [
    ['fatal: no\n  such ref\r\n', 'fatal: no such ref'], ['\x1b[31mred\x1b[0m', 'red'], ['a\x00b\x08c', 'abc'], ['safe \u202Etxt', 'safe txt'],
    ['two  blanks', 'two  blanks'], ['grün ✓', 'grün ✓'],
  ];
  for (const [text, expected] of cases) t.is(printable(text), expected);
});

test('a record has a line for each property', (t) => {
  t.deepEqual(record([['job', '1'], ['last error', { text: 'none', tone: 'bad' }]]), ['job         1', 'last error  none']);
});
