import type { WriteStream } from 'node:tty';

/** ESC [ … and its end. */
const SEQUENCE = /\x1b\[[0-9;]*m/y;
const RESET = '\x1b[0m';

/**
 * Some lines at the end of a terminal that are drawn over and over. Nothing of the terminal is switched (no hidden
 * cursor, no other screen, no raw mode), so there is nothing that an end without warning could leave wrong.
 */
export class LiveLines {
  readonly #stream: WriteStream;
  #drawn = 0;

  constructor(stream: WriteStream) {
    this.#stream = stream;
  }

  /** Draws these lines in place of those drawn before; what doesn't fit on the terminal is cut, or left out and counted. */
  draw(lines: readonly string[]): void {
    // A terminal that doesn't know its size says 0.
    const columns = this.#stream.columns || 80;
    // The line below the last one belongs to the cursor.
    const room = Math.max((this.#stream.rows || 24) - 1, 1);
    const shown = lines.length <= room ? lines : [...lines.slice(0, room - 1), `… and ${lines.length - room + 1} more`];
    const text = shown.map((line) => `${cut(line, columns - 1)}\x1b[K\n`).join('');
    this.#stream.write(`${this.#up()}${text}\x1b[J`);
    this.#drawn = shown.length;
  }

  /** Takes the lines away, and leaves these in their place for good. */
  clear(lasting: readonly string[] = []): void {
    const text = lasting.map((line) => `${line}\n`).join('');
    if (this.#drawn > 0 || text !== '') this.#stream.write(`${this.#up()}\x1b[J${text}`);
    this.#drawn = 0;
  }

  /** Leaves the lines as they are: what is drawn next comes below. */
  leave(): void {
    this.#drawn = 0;
  }

  #up(): string {
    return this.#drawn === 0 ? '\r' : `\r\x1b[${this.#drawn}A`;
  }
}

/** The beginning of a line that takes no more than `width` columns. Colours take none, and end where the line is cut. */
export function cut(line: string, width: number): string {
  let taken = 0;
  let coloured = false;
  for (let i = 0; i < line.length;) {
    SEQUENCE.lastIndex = i;
    const sequence = SEQUENCE.exec(line);
    if (sequence !== null) {
      coloured = true;
      i += sequence[0].length;
      continue;
    }
    if (taken === width - 1 && hasMore(line, i)) return `${line.slice(0, i)}…${coloured ? RESET : ''}`;
    i += String.fromCodePoint(line.codePointAt(i)!).length;
    taken++;
  }
  return line;
}

/** Whether more than one character is left from `i` on. */
function hasMore(line: string, i: number): boolean {
  return [...line.slice(i).replace(/\x1b\[[0-9;]*m/g, '')].length > 1;
}
