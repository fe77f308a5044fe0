import { stripVTControlCharacters } from 'node:util';

/**
 * Text of somebody else (an error of git, a reason that a person typed) as one line that a terminal can be sent: no
 * escape sequence, no line break, nothing that reorders what stands beside it.
 */
export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(/[^\S ]+ */g, ' ').replace(/[\p{Cc}\p{Cf}]/gu, '').trim();
}
