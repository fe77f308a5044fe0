import { lookup } from 'node:dns/promises';
import { realpath, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { sep } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { importUrl } from '@trivet/proto/import-source.ts';
import type { ImportRequest } from '@trivet/proto/messages.ts';
import { isPublic } from './addresses.ts';

export interface SourceRules {
  /** Directories below this one may be imported from; undefined: none. */
  directory: string | undefined;
  /** Whether URLs may lead to loopback and private addresses. */
  allowPrivate: boolean;
}

/** A source as git is told of it. */
export interface ImportSource {
  /** A URL or an absolute path. */
  location: string;
  /** The directory, so that git doesn't mind who owns it; undefined for a URL. */
  directory: string | undefined;
  config: readonly (readonly [key: string, value: string])[];
}

/** How hosts are looked up; a test has its own. */
export type Resolve = (host: string) => Promise<string[]>;

/**
 * What may be imported, as git shall be told of it. A host is looked up here and git is told its addresses, so that it can't
 * be another one by the time git asks; redirects, which could lead anywhere, are not followed unless everything is allowed.
 * @throws TrivetError import_refused, saying why; import_failed when a host or a directory isn't there
 */
export async function allowedSource(source: ImportRequest['source'], rules: SourceRules, resolve: Resolve = resolveHost): Promise<ImportSource> {
  return 'url' in source ? allowedUrl(source.url, rules, resolve) : allowedDirectory(source.directory, rules);
}

async function allowedUrl(text: string, { allowPrivate }: SourceRules, resolve: Resolve): Promise<ImportSource> {
  const url = importUrl(text);
  const protocols = [['protocol.http.allow', 'always'], ['protocol.https.allow', 'always']] as const;
  if (allowPrivate) return { location: url.href, directory: undefined, config: [...protocols, ['http.followRedirects', 'initial']] };
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const addresses = isIP(host) === 0 ? await resolve(host) : [host];
  const inward = addresses.find((address) => !isPublic(address));
  if (inward !== undefined) throw new TrivetError('import_refused', { host, problem: 'it leads to an address that is not public; TRIVET_IMPORT_PRIVATE=true on the nodes allows that' });
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const pinned = isIP(host) === 0 ? [['http.curloptResolve', `${host}:${port}:${addresses.join(',')}`] as const] : [];
  return { location: url.href, directory: undefined, config: [...protocols, ['http.followRedirects', 'false'], ...pinned] };
}

async function resolveHost(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw new TrivetError('import_failed', { host, problem: 'the host is not known' }, { cause: error });
  }
}

async function allowedDirectory(path: string, { directory: root }: SourceRules): Promise<ImportSource> {
  if (root === undefined) throw new TrivetError('import_refused', { problem: 'TRIVET_IMPORT_DIRECTORY is not set on this node' });
  const [real, realRoot] = await Promise.all([realpath(path), realpath(root)]).catch((error: NodeJS.ErrnoException) => {
    throw new TrivetError('import_failed', { directory: path, problem: 'no such directory on the node', reason: error.code }, { cause: error });
  });
  // Compared after every symbolic link: none of them leads out.
  if (!`${real}${sep}`.startsWith(`${realRoot.replace(/\/$/, '')}${sep}`)) throw new TrivetError('import_refused', { directory: path, problem: 'not below TRIVET_IMPORT_DIRECTORY' });
  if (!(await stat(real)).isDirectory()) throw new TrivetError('import_refused', { directory: path, problem: 'not a directory' });
  return { location: real, directory: real, config: [['protocol.file.allow', 'always']] };
}
