import { InvalidArgumentError } from 'commander';
import { isId } from '@trivet/proto/id.ts';
import { RepositoryPage, type RepositoryAnswer } from '../rest/repository.ts';
import { parseRepository } from './arguments.ts';
import type { Session } from './session.ts';

const PAGE = 1_000;

/** The id or the former name of a repository in the trash. */
export function parseTrashed(text: string): string {
  if (isId(text)) return text;
  try {
    return parseRepository(text);
  } catch {
    throw new InvalidArgumentError('neither an id nor the name of a repository.');
  }
}

/** What is in the trash under an id or a name; undefined, and said so, when that isn't exactly one. */
export async function findTrashed({ api, screen }: Session, which: string): Promise<RepositoryAnswer | undefined> {
  const found: RepositoryAnswer[] = [];
  for (let after: string | undefined; ;) {
    const page = await api.get(RepositoryPage, '/api/v1/trash', { after, limit: PAGE });
    found.push(...page.items.filter(({ id, name }) => id === which || name === which));
    if (page.next === null) break;
    after = page.next;
  }
  if (found.length === 1) return found[0];
  screen.note(found.length === 0
    ? `error: there is no ${which} in the trash`
    : `error: the trash has several of this name; give the id: ${found.map(({ id }) => id).join(', ')}`);
  return undefined;
}
