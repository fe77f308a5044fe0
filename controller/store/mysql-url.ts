import { isIP } from 'node:net';

/** How much a connection to MySQL must prove: in the words of MySQL's own clients. */
export const TLS_MODES = ['disabled', 'required', 'verify-ca', 'verify-identity'] as const;
export type TlsMode = typeof TLS_MODES[number];

export interface MysqlUrl {
  /** In the order in which they are tried. */
  servers: { host: string; port: number }[];
  user: string;
  password: string;
  database: string;
  /** undefined: the URL doesn't say. */
  tls: TlsMode | undefined;
}

const FORM = 'mysql://user:password@host:port,host:port/database?ssl-mode=verify-identity';
const DEFAULT_PORT = 3306;
const MAX_PORT = 65_535;

/**
 * Takes a URL of MySQL apart. Unlike other URLs it may name several servers: those that one of them may fail over to.
 * Throws Error with what is wrong, without the password.
 */
export function parseMysqlUrl(url: string): MysqlUrl {
  const [, credentials, hosts, database, query] = /^mysql:\/\/(?:(.*)@)?([^@/?]+)\/([^/?]+)(?:\?(.*))?$/.exec(url) ?? [];
  if (hosts === undefined || database === undefined) throw new Error(`must have the form ${FORM}`);
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(credentials ?? '') ?? [];
  return {
    servers: hosts.split(',').map(parseServer),
    user: decode(user), password: decode(password), database: decode(database),
    tls: parseTls(new URLSearchParams(query ?? '')),
  };
}

/**
 * What a connection must prove: what the URL says, or everything as soon as there is a CA to prove it with.
 * Throws Error for an address without a name: mysql2 compares certificates with names only.
 */
export function tlsModeOf(url: MysqlUrl, hasCa: boolean): TlsMode {
  const mode = url.tls ?? (hasCa ? 'verify-identity' : 'disabled');
  const address = url.servers.find(({ host }) => isIP(host) !== 0)?.host;
  if (mode === 'verify-identity' && address !== undefined) {
    throw new Error(`${address} has no name that its certificate could be for: give a name, or ssl-mode=verify-ca`);
  }
  return mode;
}

function parseServer(text: string): { host: string; port: number } {
  const [, bracketed, plain, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = digits === undefined ? DEFAULT_PORT : Number(digits);
  if (host === undefined || port < 1 || port > MAX_PORT) throw new Error(`"${text}" is no host:port; the form is ${FORM}`);
  return { host, port };
}

function parseTls(query: URLSearchParams): TlsMode | undefined {
  for (const key of query.keys()) if (key !== 'ssl-mode') throw new Error(`"${key}" is no option of the URL; there is ssl-mode`);
  const asked = query.get('ssl-mode')?.toLowerCase().replace('_', '-');
  const mode = TLS_MODES.find((candidate) => candidate === asked);
  if (asked !== undefined && mode === undefined) throw new Error(`ssl-mode is one of ${TLS_MODES.join(', ')}, not "${asked}"`);
  return mode;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw new Error('has a % that is not followed by two hexadecimal digits');
  }
}
