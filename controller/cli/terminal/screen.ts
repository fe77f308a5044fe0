import type { WriteStream } from 'node:tty';
import { LiveLines } from './live-lines.ts';
import { ansiPaint, noPaint, type Paint } from './paint.ts';

export interface ScreenOptions {
  /** Print documents for programs, and nothing else, on standard output. */
  json: boolean;
  /** Whether colours may be used where there is a terminal. */
  colour: boolean;
  /** Whether a terminal understands more than plain text. */
  capable: boolean;
}

/**
 * Where a command prints. Answers go to standard output, everything else to standard error, so that redirecting an
 * answer never mixes it with progress or complaints. Each stream is looked at by itself: either may be a terminal.
 */
export class Screen {
  readonly json: boolean;
  /** For standard output. */
  readonly paint: Paint;
  /** Columns of the terminal on standard output; undefined when that isn't one. */
  readonly width: number | undefined;
  /** What is drawn over and over, as an answer. */
  readonly liveAnswer: LiveLines | undefined;
  /** The same for progress. */
  readonly liveProgress: LiveLines | undefined;
  /** For progress. */
  readonly progressPaint: Paint;
  #documented = false;

  constructor({ json, colour, capable }: ScreenOptions) {
    const out = terminal(process.stdout);
    const err = terminal(process.stderr);
    this.json = json;
    // A terminal that doesn't know its size says 0.
    this.width = out?.columns || undefined;
    this.paint = out !== undefined && colour && capable ? ansiPaint : noPaint;
    this.progressPaint = err !== undefined && colour && capable ? ansiPaint : noPaint;
    this.liveAnswer = out !== undefined && capable && !json ? new LiveLines(out) : undefined;
    this.liveProgress = err !== undefined && capable ? new LiveLines(err) : undefined;
  }

  /** Lines of an answer for people. */
  print(...lines: readonly string[]): void {
    if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
  }

  /** What isn't part of the answer. */
  note(...lines: readonly string[]): void {
    if (lines.length > 0) process.stderr.write(`${lines.join('\n')}\n`);
  }

  /** Whether a program has got a document, and so must not get one of another kind. */
  get documented(): boolean {
    return this.#documented;
  }

  /** An answer for programs: one document. */
  document(value: unknown): void {
    this.#documented = true;
    process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
  }

  /** One of many documents, on a line of its own. */
  documentLine(value: unknown): void {
    this.#documented = true;
    process.stdout.write(`${JSON.stringify(value)}\n`);
  }
}

function terminal(stream: WriteStream): WriteStream | undefined {
  return stream.isTTY ? stream : undefined;
}
