import { InvalidArgumentError } from 'commander';
import { isId } from '@trivet/proto/id.ts';
import { isRepositoryName } from '@trivet/proto/repository-name.ts';

// What people type, as values. Each throws InvalidArgumentError, whose text commander shows beside the argument's name.

/** `http://one:8081,http://two:8081` */
export function parseControllers(text: string): string[] {
  const urls = text.split(',').map((url) => url.trim()).filter((url) => url !== '');
  const wrong = urls.find((url) => !/^https?:\/\//.test(url) || !URL.canParse(url));
  if (urls.length === 0 || wrong !== undefined) {
    throw new InvalidArgumentError(wrong === undefined ? 'no URL at all.' : `not an http(s) URL: ${wrong}`);
  }
  return urls;
}

/** A repository's name; `.git` at its end is no part of it. */
export function parseRepository(text: string): string {
  const name = text.endsWith('.git') ? text.slice(0, -4) : text;
  if (!isRepositoryName(name)) throw new InvalidArgumentError('not a repository name.');
  return name;
}

/** What a list calls a repository: its name, or in the trash `.trash/<id>`. */
export function parseListed(text: string): string {
  return text.startsWith('.trash/') ? text : parseRepository(text);
}

export function parseNode(text: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/.test(text)) throw new InvalidArgumentError('not the name of a node.');
  return text;
}

/** The id of a job or a transaction. */
export function parseId(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError('an id has 32 hexadecimal digits.');
  return text;
}

/** A whole number in a range, as an argument parser. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (!/^\d+$/.test(text) || number < min || number > max) throw new InvalidArgumentError(`a whole number from ${min} to ${max}.`);
    return number;
  };
}

/** A text of 1 to `max` characters that isn't blank. */
export function shortText(max: number): (text: string) => string {
  return (text) => {
    if (text.trim() === '' || text.length > max) throw new InvalidArgumentError(`a text of 1 to ${max} characters.`);
    return text;
  };
}

/** `90`, `90s`, `10m`, `2h` in milliseconds. */
export function parseTime(text: string): number {
  const match = /^(\d{1,6})([smh]?)$/.exec(text);
  if (match === null) throw new InvalidArgumentError('a time such as 90s, 10m or 2h.');
  return Number(match[1]) * { '': 1_000, s: 1_000, m: 60_000, h: 3_600_000 }[match[2] as '' | 's' | 'm' | 'h'];
}
