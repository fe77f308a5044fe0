import { styleText } from 'node:util';

/** What a colour says; `plain` is the terminal's own. */
export type Tone = 'plain' | 'good' | 'busy' | 'warn' | 'bad' | 'faint' | 'strong';

/** Puts a tone on a text, or leaves it as it is where there are no colours. */
export type Paint = (tone: Tone, text: string) => string;

const COLOURS = { good: 'green', busy: 'cyan', warn: 'yellow', bad: 'red', faint: 'dim', strong: 'bold' } as const;

export const noPaint: Paint = (_tone, text) => text;

export const ansiPaint: Paint = (tone, text) => (
  tone === 'plain' || text === '' ? text : styleText(COLOURS[tone], text, { validateStream: false }));
