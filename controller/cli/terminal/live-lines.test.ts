import type { WriteStream } from 'node:tty';
import test from 'ava';
import { ansiPaint } from './paint.ts';
import { cut, LiveLines } from './live-lines.ts';

/** A terminal that understands what LiveLines sends, and has what it shows as lines. */
class Screen {
  columns: number;
  rows: number;
  readonly lines: string[] = [''];
  #row = 0;

  constructor(columns: number, rows: number) {
    this.columns = columns;
    this.rows = rows;
  }

  write(text: string): void {
    for (const [part] of text.matchAll(/\x1b\[\d*[AJK]|\r|\n|[^\x1b\r\n]+/g)) {
      if (part === '\n') {
        this.#row++;
        this.lines[this.#row] ??= '';
      } else if (part.endsWith('A') && part.startsWith('\x1b')) this.#row -= Number(part.slice(2, -1));
      else if (part === '\x1b[J') this.lines.splice(this.#row, Infinity, '');
      else if (part !== '\r' && part !== '\x1b[K') this.lines[this.#row] = part;
    }
  }
}

function liveOn(screen: Screen): LiveLines {
  return new LiveLines(screen as unknown as WriteStream);
}

test('lines are drawn in place of those drawn before, however many there are', (t) => {
  const screen = new Screen(80, 24);
  const live = liveOn(screen);
  screen.write('before\n');
  live.draw(['one', 'two', 'three']);
  t.deepEqual(screen.lines, ['before', 'one', 'two', 'three', '']);
  live.draw(['four']);
  t.deepEqual(screen.lines, ['before', 'four', '']);
  live.draw(['five', 'six']);
  t.deepEqual(screen.lines, ['before', 'five', 'six', '']);
});

test('lines are taken away, or others left in their place for good', (t) => {
  const screen = new Screen(80, 24);
  const live = liveOn(screen);
  live.draw(['one', 'two']);
  live.clear(['done']);
  live.draw(['three']);
  t.deepEqual(screen.lines, ['done', 'three', '']);
  live.clear();
  t.deepEqual(screen.lines, ['done', '']);
  live.clear();
  t.deepEqual(screen.lines, ['done', '']);
});

test('what doesn\'t fit on the terminal is counted', (t) => {
  const screen = new Screen(80, 4);
  liveOn(screen).draw(['1', '2', '3', '4', '5']);
  t.deepEqual(screen.lines, ['1', '2', '… and 3 more', '']);
});

test('a line that is too long is cut, so that it takes one line of the terminal', (t) => {
  const screen = new Screen(10, 24);
  liveOn(screen).draw(['0123456789', '012345678']);
  t.deepEqual(screen.lines, ['01234567…', '012345678', '']);
});

test('a terminal that doesn\'t know its size is taken to be an ordinary one', (t) => {
  const screen = new Screen(0, 0);
  liveOn(screen).draw(['x'.repeat(100)]);
  t.is(screen.lines[0]!.length, 79);
});

test('colours don\'t count when a line is cut, and end with it', (t) => {
  const red = ansiPaint('bad', 'abcdef');
  t.is(cut(red, 6), red);
  t.is(cut(red, 4), '\x1b[31mabc…\x1b[0m');
  t.is(cut(`${ansiPaint('bad', 'ab')}cdef`, 6), '\x1b[31mab\x1b[39mcdef');
});

test('nothing of the terminal is switched that an end without warning would leave wrong', (t) => {
  const written: string[] = [];
  const live = new LiveLines({ columns: 80, rows: 24, write: (text: string) => written.push(text) } as unknown as WriteStream);
  live.draw(['one', 'two']);
  live.draw(['three']);
  live.clear();
  // Private modes (ESC [ ?) are those that last: the cursor, another screen, line wrap.
  t.notRegex(written.join(''), /\x1b\[\?|\x1b[78]/);
});
