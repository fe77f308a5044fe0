import type { ConnectionOptions, SslOptions } from 'mysql2/promise';
import { tlsModeOf, type MysqlUrl, type TlsMode } from './mysql-url.ts';

/** Kept on the server for each connection; there may be 16,382 in all. The hot paths use about a dozen. */
const PREPARED_STATEMENTS = 200;

/**
 * The server ends a session of ours that says nothing for so long, and rolls back what it had open: a controller that
 * was stopped in the middle of a decision would otherwise hold the repository's row, and keep every other controller
 * from deciding or settling anything there, until it is continued or killed. Many times what lies between two
 * statements of a healthy one. Idle connections are closed on this side before that.
 */
const SILENT_SESSION_SECONDS = 15;

/** Certificates and keys, as PEM. */
export interface TlsFiles {
  ca?: string;
  cert?: string;
  key?: string;
}

/**
 * The options every connection to one of the servers is opened with, those of the turn lock included.
 * @param connectMs how long the server may take until a session has begun
 */
export function connectionOptions(url: MysqlUrl, server: { host: string; port: number }, tls: TlsFiles, connectMs: number): ConnectionOptions {
  const ssl = tlsOptions(tlsModeOf(url, tls.ca !== undefined), tls);
  return {
    ...server,
    user: url.user,
    password: url.password,
    database: url.database,
    ...(ssl === undefined ? {} : { ssl }),
    connectTimeout: connectMs,
    charset: 'UTF8MB4_BIN',
    timezone: 'Z',
    dateStrings: true,
    supportBigNumbers: true,
    maxPreparedStatements: PREPARED_STATEMENTS,
  };
}

/**
 * READ COMMITTED: no statement of ours relies on seeing the same rows twice, every decision is a compare-and-set or
 * stands behind a row lock; and REPEATABLE READ's gap locks make inserts of neighbouring keys wait for each other.
 * Strict mode: a value that doesn't fit is an error, never cut off.
 * A lock is waited for in vain within half the deadline, so that the server says so before the client gives up.
 * Where several servers take writes, each statement first waits for what the others have committed before: a route that
 * is read on one server must not be older than a push that was acknowledged through another.
 * @param variables the server's, those of its replication included if it has any
 */
export function sessionSettings(deadlineMs: number, variables: ReadonlyMap<string, string>): string[] {
  const lockWaitSeconds = Math.max(1, Math.floor(deadlineMs / 2_000));
  return [
    'SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED',
    `SET autocommit = 1, time_zone = '+00:00', sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', `
      + `innodb_lock_wait_timeout = ${lockWaitSeconds}, wait_timeout = ${SILENT_SESSION_SECONDS}`,
    ...(variables.get('wsrep_on') === 'ON' ? ['SET SESSION wsrep_sync_wait = 7'] : []),
    ...(variables.has('group_replication_consistency') ? ["SET SESSION group_replication_consistency = 'BEFORE'"] : []),
  ];
}

function tlsOptions(mode: TlsMode, { ca, cert, key }: TlsFiles): SslOptions | undefined {
  if (mode === 'disabled') return undefined;
  return {
    ...(ca === undefined ? {} : { ca }), ...(cert === undefined ? {} : { cert }), ...(key === undefined ? {} : { key }),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: mode !== 'required',
    verifyIdentity: mode === 'verify-identity',
  };
}
