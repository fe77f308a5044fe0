import { TrivetError } from './errors.ts';

/** What fits in the column `source`. */
const MAX_LENGTH = 2_000;
const DIRECTORY = /^([A-Za-z0-9][A-Za-z0-9._-]{0,62}):(\/[^\x00-\x1f\x7f]*)$/;

/** Where a repository is imported from: a URL, or a directory on a node. */
export type ImportLocation = { url: string } | { node: string; directory: string };

/**
 * Takes apart `https://…`, `http://…` or `node:/directory`.
 * @throws TrivetError import_refused, saying why
 */
export function parseImportSource(text: string): ImportLocation {
  if (text.length > MAX_LENGTH) throw new TrivetError('import_refused', { problem: 'too long', limit: MAX_LENGTH });
  if (/^[a-z+]+:\/\//i.test(text)) return { url: importUrl(text).href };
  const match = DIRECTORY.exec(text);
  if (match === null) throw new TrivetError('import_refused', { problem: 'a source is https://host/path, http://host/path, or node:/directory' });
  return { node: match[1]!, directory: match[2]! };
}

/**
 * A URL that may be imported from. It is kept, logged and shown: so nothing secret may be in it.
 * @throws TrivetError import_refused, saying why
 */
export function importUrl(text: string): URL {
  // The parser would drop these without a word.
  const url = /[\x00-\x20\x7f\\]/.test(text) ? null : URL.parse(text);
  if (url === null || !['http:', 'https:'].includes(url.protocol)) throw new TrivetError('import_refused', { problem: 'only http and https URLs can be imported from' });
  // Not told which: the fields of an error end up in logs.
  if (url.username !== '' || url.password !== '') throw new TrivetError('import_refused', { problem: 'a user or a password in the URL would be kept in the database; import a copy in a directory instead' });
  if (url.search !== '' || url.hash !== '') throw new TrivetError('import_refused', { problem: 'a URL with a query may carry a secret, which would be kept in the database' });
  return url;
}
