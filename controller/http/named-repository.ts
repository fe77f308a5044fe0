import { TrivetError } from '@trivet/proto/errors.ts';
import { repositoryName } from './git-path.ts';

/** Where names are looked up. */
export interface RepositoryNames {
  route(name: string): Promise<{ repository: { id: string } } | undefined>;
}

/**
 * The repository name that a body or a query gave, with or without `.git`.
 * @throws TrivetError bad_repository_name
 */
export function namedRepository(text: string): string {
  // What is percent-encoded was decoded when the query was read: a `%` that is left belongs to no name.
  if (text.includes('%')) throw new TrivetError('bad_repository_name', { name: text.slice(0, 300) });
  return repositoryName(text);
}

/**
 * The id of the repository that a filter names; undefined without one.
 * @throws TrivetError bad_repository_name, repository_not_found
 */
export async function filterRepository(names: RepositoryNames, text: string | undefined): Promise<string | undefined> {
  if (text === undefined) return undefined;
  const name = namedRepository(text);
  const route = await names.route(name);
  if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
  return route.repository.id;
}
