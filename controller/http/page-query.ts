import Type from 'typebox';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isId } from '@trivet/proto/id.ts';
import type { PageOf } from '../rest/page.ts';

const MAX_LIMIT = 1_000;
const DEFAULT_LIMIT = 100;

/** What every list takes; the values are checked by `pageQuery`, whose complaints can be understood. */
export const PAGE_QUERY = {
  after: Type.Optional(Type.String({ maxLength: 200 })),
  limit: Type.Optional(Type.String({ maxLength: 20 })),
};

export interface PageQuery {
  /** The key of a row: an id, but for repositories, which are ordered by name. */
  after: string | undefined;
  limit: number;
}

/** @throws TrivetError bad_request */
export function pageQuery(query: { after?: string; limit?: string }): PageQuery {
  const { after } = query;
  if (after !== undefined && !isId(after)) throw new TrivetError('bad_request', { problem: '`after` is the id that the page before gave as `next`', after });
  return { after, limit: limitOf(query) };
}

/** @throws TrivetError bad_request */
export function limitOf({ limit }: { limit?: string }): number {
  const number = limit === undefined ? DEFAULT_LIMIT : Number(limit);
  if (!/^\d+$/.test(limit ?? '1') || number < 1 || number > MAX_LIMIT) {
    throw new TrivetError('bad_request', { problem: `\`limit\` is a whole number from 1 to ${MAX_LIMIT}`, limit });
  }
  return number;
}

/** One page of rows that have an id, and where the next begins. @param read as of `readPageBy` */
export function readPage<Row extends { id: string }, Item>(
  query: PageQuery, read: (page: PageQuery) => Promise<Row[]>, describe: (row: Row) => Item,
): Promise<PageOf<Item>> {
  return readPageBy((row) => row.id, query, read, describe);
}

/**
 * One page of rows and where the next begins.
 * @param keyOf what the rows are ordered by
 * @param read gives at most `limit` rows that come after `after`
 */
export async function readPageBy<Row, Item>(
  keyOf: (row: Row) => string, query: PageQuery, read: (page: PageQuery) => Promise<Row[]>, describe: (row: Row) => Item,
): Promise<PageOf<Item>> {
  // One more than asked for: it tells whether there is another page.
  const rows = await read({ ...query, limit: query.limit + 1 });
  const shown = rows.slice(0, query.limit);
  return { items: shown.map(describe), next: rows.length > query.limit ? keyOf(shown.at(-1)!) : null };
}
