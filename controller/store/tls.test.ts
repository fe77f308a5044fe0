import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TrivetError } from '@trivet/proto/errors.ts';
import anyTest from 'ava';
import mysql from 'mysql2/promise';
import { type MariaDb, mariadbHere, startMariaDb } from '../../test/mariadb.ts';
import { type Database, openDatabase } from './database.ts';
import type { TlsFiles } from './mysql-settings.ts';

const test = mariadbHere() ? anyTest.serial : anyTest.serial.skip;

let folder: string;
let server: MariaDb;
let port: string;
let ca: string;
let otherCa: string;
let client: { cert: string; key: string };

anyTest.before(async () => {
  if (!mariadbHere()) return;
  folder = await mkdtemp(join(tmpdir(), 'trivet-tls-'));
  [ca, otherCa] = [await makeCa('ca'), await makeCa('other')];
  await makeCertificate('server', 'DNS:localhost');
  const { cert, key } = await makeCertificate('client', 'DNS:controller');
  client = { cert, key };
  server = await startMariaDb(undefined, serverTls('server'));
  port = new URL(server.url).port;
  const root = await mysql.createConnection(server.url);
  for (const [user, needs] of [['plain', ''], ['tls', 'REQUIRE SSL'], ['x509', 'REQUIRE X509']]) {
    await root.query(`CREATE USER ${user}@'%' IDENTIFIED BY 'x' ${needs}`);
    await root.query(`GRANT ALL ON *.* TO ${user}@'%'`);
  }
  await root.end();
});
anyTest.after.always(async () => {
  await server?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true, force: true });
});

test('a server whose certificate is signed by the CA is spoken to with TLS', async (t) => {
  t.regex(await cipher(await open('tls', '', { ca })), /^TLS/);
  t.regex(await cipher(await open('tls', '?ssl-mode=verify-ca', { ca })), /^TLS/);
});

test('a server that another CA has signed for is refused, and the reason is told', async (t) => {
  t.regex(await refusal(open('tls', '', { ca: otherCa })), /certificate/);
});

test('with verify-identity and no CA of one\'s own, a self-made certificate is refused', async (t) => {
  t.regex(await refusal(open('tls', '?ssl-mode=verify-identity', {})), /certificate/);
});

test('a certificate for another name is refused, unless only its CA is to be checked', async (t) => {
  await makeCertificate('elsewhere', 'DNS:db.example.org');
  const other = await startMariaDb(undefined, serverTls('elsewhere'));
  t.teardown(() => other.stop());
  const elsewhere = `mysql://root@localhost:${new URL(other.url).port}/trivet?ssl-mode=`;
  t.regex(await refusal(opened(`${elsewhere}verify-identity`, { ca })), /altnames/);
  t.regex(await cipher(await opened(`${elsewhere}verify-ca`, { ca })), /^TLS/);
});

test('a server that wants TLS refuses those who come without', async (t) => {
  t.regex(await refusal(open('tls', '', {})), /Access denied/);
  t.regex(await refusal(open('tls', '?ssl-mode=disabled', { ca })), /Access denied/);
  t.is(await cipher(await open('plain', '', {})), '', 'control: another user may');
});

test('a server that wants a certificate is shown one', async (t) => {
  t.regex(await refusal(open('x509', '', { ca })), /Access denied/);
  t.regex(await cipher(await open('x509', '', { ca, ...client })), /^TLS/);
});

test('a server without TLS is refused where TLS is required', async (t) => {
  const bare = await startMariaDb(undefined, ['--skip-ssl']);
  t.teardown(() => bare.stop());
  t.regex(await refusal(opened(`${bare.url}?ssl-mode=required`, {})), /does not support secure connection/);
});

function serverTls(name: string): string[] {
  return [['ca', 'ca.pem'], ['cert', `${name}.pem`], ['key', `${name}.key`]].map(([what, file]) => `--ssl-${what}=${join(folder, file!)}`);
}

function open(user: string, query: string, tls: TlsFiles): Promise<Database> {
  return opened(`mysql://${user}:x@localhost:${port}/trivet${query}`, tls);
}

function opened(url: string, tls: TlsFiles): Promise<Database> {
  return openDatabase(url, { tls });
}

/** The cipher that the server sees, and closes. */
async function cipher(db: Database): Promise<string> {
  const [row] = await db.sql.all("SHOW STATUS LIKE 'Ssl_cipher'");
  await db.close();
  return String(row!['Value']);
}

/** What an operator is told. */
async function refusal(opening: Promise<Database>): Promise<string> {
  const error = await opening.then(async (db) => db.close().then(() => undefined), (failure: TrivetError) => failure);
  if (error?.code !== 'store_unavailable') throw new Error(`not refused: ${error?.code}`);
  const causes: string[] = [];
  for (let { cause } = error as Error; cause instanceof Error; { cause } = cause) causes.push(cause.message);
  return causes.join(': ');
}

async function openssl(...args: string[]): Promise<void> {
  await promisify(execFile)('openssl', args, { cwd: folder });
}

async function makeCa(name: string): Promise<string> {
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.pem`);
  return readFile(join(folder, `${name}.pem`), 'utf8');
}

/** A certificate that the CA called `ca` has signed. */
async function makeCertificate(name: string, altName: string): Promise<{ cert: string; key: string }> {
  await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', `/CN=${name}`, '-keyout', `${name}.key`, '-out', `${name}.csr`);
  await writeFile(join(folder, `${name}.ext`), `subjectAltName=${altName}\n`);
  await openssl('x509', '-req', '-in', `${name}.csr`, '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2', '-extfile', `${name}.ext`, '-out', `${name}.pem`);
  return { cert: await readFile(join(folder, `${name}.pem`), 'utf8'), key: await readFile(join(folder, `${name}.key`), 'utf8') };
}
