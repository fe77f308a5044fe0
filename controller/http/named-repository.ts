import type { FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isBranch, isRefName } from '@trivet/proto/ref-name.ts';
import type { Route } from '../store/rows.ts';
import { pathBelow, repositoryName } from './git-path.ts';

/** Where names are looked up. */
export interface RepositoryNames {
  route(name: string): Promise<{ repository: { id: string } } | undefined>;
}

/**
 * The repository that git asks for.
 * @throws TrivetError repository_not_found; repository_importing while it is still being filled
 */
export async function servedRoute(names: { route(name: string): Promise<Route | undefined> }, name: string): Promise<Route> {
  const route = await names.route(name);
  if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
  if (route.repository.state === 'importing') throw new TrivetError('repository_importing', { repository: name });
  return route;
}

/**
 * The name in a path, which is everything behind the prefix: a name may have several segments.
 * @throws TrivetError bad_repository_name
 */
export function nameBelow(prefix: string, request: FastifyRequest): string {
  // From the URL as it came, decoded once: the router's own decoding would let `%252e` become `%2e`.
  return repositoryName(pathBelow(prefix, request.raw.url!));
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
 * The full ref of a branch that was given with or without `refs/heads/`.
 * @throws TrivetError bad_request
 */
export function branchRef(branch: string): string {
  const ref = isBranch(branch) ? branch : `refs/heads/${branch}`;
  if (!isRefName(ref)) throw new TrivetError('bad_request', { problem: 'not a branch name', defaultBranch: branch });
  return ref;
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
