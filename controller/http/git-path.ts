import { TrivetError } from '@trivet/proto/errors.ts';
import { isRepositoryName } from '@trivet/proto/repository-name.ts';

export type GitService = 'info/refs' | 'git-upload-pack' | 'git-receive-pack';

/** What a path below `/git/` asks for. */
export interface GitPath {
  repository: string;
  service: GitService;
}

const SERVICES: readonly GitService[] = ['info/refs', 'git-upload-pack', 'git-receive-pack'];
/** Files that a client of the dumb protocol asks for. */
const DUMB = /\/(HEAD|objects\/.+)$/;

/**
 * Takes apart `/git/<repository>[.git]/<service>` as it came over the wire. A percent-encoded character is decoded once;
 * what isn't a repository name afterwards is refused, so no encoding leads to anything but a name.
 * @throws TrivetError not_found, dumb_protocol, bad_repository_name
 */
export function parseGitPath(rawUrl: string): GitPath {
  const path = pathBelow('/git/', rawUrl);
  const service = SERVICES.find((candidate) => path.endsWith(`/${candidate}`));
  if (service === undefined) throw new TrivetError(DUMB.test(path) ? 'dumb_protocol' : 'not_found');
  return { repository: repositoryName(path.slice(0, -service.length - 1)), service };
}

/**
 * The part of a request's target behind `prefix` and before the query, not decoded. A target may be a whole URL:
 * RFC 9112, section 3.2.2. A prefix in any other spelling than its own is refused, so that what a proxy in front lets
 * through and what is served can't differ.
 * @throws TrivetError not_found
 */
export function pathBelow(prefix: string, rawUrl: string): string {
  const path = rawUrl.replace(/^https?:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0]!;
  if (!path.startsWith(prefix)) throw new TrivetError('not_found');
  return path.slice(prefix.length);
}

/**
 * A repository name out of a URL, with or without `.git`.
 * @throws TrivetError bad_repository_name
 */
export function repositoryName(encoded: string): string {
  let name: string;
  try {
    name = decodeURIComponent(encoded);
  } catch (error) {
    throw new TrivetError('bad_repository_name', { name: encoded.slice(0, 300) }, { cause: error });
  }
  if (name.endsWith('.git')) name = name.slice(0, -4);
  if (!isRepositoryName(name)) throw new TrivetError('bad_repository_name', { name: name.slice(0, 300) });
  return name;
}
