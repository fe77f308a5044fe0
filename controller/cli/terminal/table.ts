import { noPaint, type Paint, type Tone } from './paint.ts';
import { printable } from './printable.ts';

export type Cell = string | { text: string; tone: Tone };

export interface Column<Row> {
  title: string;
  cell(row: Row): Cell;
  right?: true;
}

export interface TableOptions {
  paint?: Paint;
  /** Columns of the terminal: the last column is broken into lines so that it fits. None: nothing is broken. */
  width?: number | undefined;
}

const GAP = '  ';
/** Below this, breaking the last column makes it unreadable; then the terminal may break it where it likes. */
const LEAST_WIDTH = 20;

/**
 * Rows as aligned lines under a line of titles. No frames: what is here can be searched, cut and pasted.
 * Whatever a cell holds, it is made printable first.
 */
export function table<Row>(rows: readonly Row[], columns: readonly Column<Row>[], { paint = noPaint, width }: TableOptions = {}): string[] {
  const cells = rows.map((row) => columns.map((column) => {
    const cell = column.cell(row);
    return typeof cell === 'string' ? { text: printable(cell), tone: 'plain' as Tone } : { text: printable(cell.text), tone: cell.tone };
  }));
  const widths = columns.map((column, i) => Math.max(column.title.length, ...cells.map((row) => row[i]!.text.length)));
  const before = widths.slice(0, -1).reduce((sum, w) => sum + w + GAP.length, 0);
  const room = width === undefined || width - before < LEAST_WIDTH ? Infinity : width - before;

  const line = (texts: readonly { text: string; tone: Tone }[]): string => texts
    .map(({ text, tone }, i) => {
      const padding = ' '.repeat(Math.max(widths[i]! - text.length, 0));
      const painted = paint(tone, text);
      // Nothing stands behind the last one: no blanks at the end of a line.
      if (columns[i]!.right) return padding + painted;
      return i === texts.length - 1 ? painted : painted + padding;
    }).join(GAP);

  const lines = [line(columns.map(({ title }) => ({ text: title, tone: 'faint' as Tone })))];
  for (const row of cells) {
    const last = row.at(-1)!;
    const [first, ...more] = broken(last.text, room);
    lines.push(line([...row.slice(0, -1), { text: first!, tone: last.tone }]).trimEnd());
    for (const rest of more) lines.push(' '.repeat(before) + paint(last.tone, rest));
  }
  return lines;
}

/** One thing as a line for each of its properties. */
export function record(entries: readonly (readonly [string, Cell])[], options: TableOptions = {}): string[] {
  const columns: Column<readonly [string, Cell]>[] = [
    { title: '', cell: ([name]) => ({ text: name, tone: 'faint' }) }, { title: '', cell: ([, value]) => value },
  ];
  return table(entries, columns, options).slice(1);
}

/** A text as lines of at most `room` characters, broken between words where there are any. */
function broken(text: string, room: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (rest.length > room) {
    const blank = rest.lastIndexOf(' ', room);
    const end = blank > 0 ? blank : room;
    lines.push(rest.slice(0, end));
    rest = rest.slice(end).trimStart();
  }
  return [...lines, rest];
}
