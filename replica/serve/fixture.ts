import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { gunzipSync } from 'node:zlib';
import type { ExecutionContext } from 'ava';
import { asTrivetError } from '@trivet/proto/errors.ts';
import { encodePacket, FLUSH, DELIMITER } from '@trivet/proto/pkt-line.ts';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { advertiseReceivePack, advertiseUploadPack } from './advertisement.ts';
import { createBareRepository } from './repository-config.ts';
import type { Served } from './served.ts';
import { uploadPack } from './upload-pack.ts';

// What the tests of this folder share: repositories, their refs as git sees them, and a small server for stock git.

const CLIENT_ENVIRONMENT = {
  PATH: process.env['PATH'],
  HOME: '/nonexistent',
  LC_ALL: 'C',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_TERMINAL_PROMPT: '0',
  GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org',
  GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org',
};

/** Runs stock git to its end and gives what it wrote; throws when it fails. */
export async function git(args: readonly string[], options: { cwd?: string } = {}): Promise<string> {
  const result = await promisify(execFile)('git', [...args], {
    ...options, env: CLIENT_ENVIRONMENT, maxBuffer: 64 * 1024 * 1024,
  });
  return result.stdout.trimEnd();
}

/** The same at once, with something on standard input, and nothing trimmed. */
export function gitSync(args: readonly string[], cwd: string, input: string | Buffer = '', protocol = 0): Buffer {
  const env = { ...CLIENT_ENVIRONMENT, ...protocol > 0 && { GIT_PROTOCOL: `version=${protocol}` } };
  return execFileSync('git', [...args], { cwd, env, input, stdio: ['pipe', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
}

export function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-serve-'));
  t.teardown(() => { rmSync(directory, { recursive: true, force: true }); });
  return directory;
}

/** An empty bare repository made by us, HEAD at refs/heads/main. */
export async function emptyRepository(t: ExecutionContext, format: ObjectFormat = 'sha1'): Promise<string> {
  const gitDir = join(temporaryDirectory(t), 'repository.git');
  await createBareRepository(gitDir, format, 'refs/heads/main');
  return gitDir;
}

/**
 * A bare repository with `commits` commits a day apart on main, each with a file of its own, a directory and a common
 * file; a branch `side` from its third commit; a light tag, a tag object, a tag of that tag; hidden refs.
 */
export async function exampleRepository(
  t: ExecutionContext, format: ObjectFormat = 'sha1', commits = 6,
): Promise<string> {
  const gitDir = await emptyRepository(t, format);
  const script: string[] = [];
  for (let i = 1; i <= commits; i++) {
    const date = `${1700000000 + i * 86400} +0000`;
    script.push(`commit refs/heads/main\nmark :${i}\ncommitter A <a@example.org> ${date}\ndata <<E\ncommit ${i}\nE`);
    if (i > 1) script.push(`from :${i - 1}`);
    for (const path of [`file-${i}`, `directory/inner-${i}`, 'common']) {
      script.push(`M 100644 inline ${path}\ndata <<E\n${`${path} at ${i}\n`.repeat(i * 40)}E`);
    }
  }
  script.push('reset refs/heads/side\nfrom :3', 'reset refs/tags/light\nfrom :2', 'done\n');
  gitSync(['fast-import', '--quiet', '--done'], gitDir, script.join('\n'));
  await git(['tag', '-m', 'first', 'v1', 'main~1'], { cwd: gitDir });
  await git(['tag', '-m', 'tag of a tag', 'v1-again', 'v1'], { cwd: gitDir });
  await git(['update-ref', 'refs/trivet/kept', 'main~2'], { cwd: gitDir });
  await git(['update-ref', 'refs/notes/ä-Ω', 'main'], { cwd: gitDir });
  return gitDir;
}

/** The repository as it is on disk now, hidden refs included. */
export async function serve(gitDir: string, objectFormat: ObjectFormat = 'sha1'): Promise<Served> {
  const lines = (await git(['for-each-ref', '--format=%(refname) %(objectname)'], { cwd: gitDir })).split('\n');
  const refs = new Map(lines.filter((line) => line !== '').map((line) => line.split(' ') as [string, Oid]));
  const head = await git(['symbolic-ref', 'HEAD'], { cwd: gitDir });
  return {
    gitDir,
    objectFormat,
    refs: {
      head,
      digest: '',
      size: refs.size,
      get: (name) => refs.get(name),
      hasBelow: (name) => [...refs.keys()].some((other) => other.startsWith(`${name}/`)),
      entries: () => refs.entries(),
    },
    peel: async (oids) => {
      const wanted = oids.map((oid) => `${oid}^{}\n`).join('');
      const peeled = gitSync(['cat-file', '--batch-check=%(objectname)'], gitDir, wanted).toString().split('\n');
      return oids.map((oid, i) => (peeled[i] === oid ? undefined : peeled[i]));
    },
  };
}

/** A request of protocol v2: lines, with `0001` and `0000` for the special ones. */
export function requestBody(...lines: readonly (string | Buffer)[]): Buffer {
  return Buffer.concat(lines.map((line) => {
    if (line === '0000') return FLUSH;
    return line === '0001' ? DELIMITER : encodePacket(line);
  }));
}

/** A smart-HTTP server of one repository, its refs read anew for each request. Gives the URL to clone. */
export async function listen(t: ExecutionContext, gitDir: string, format: ObjectFormat = 'sha1'): Promise<string> {
  const server = createServer((request, response) => {
    answer(request, response, gitDir, format).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else response.writeHead(asTrivetError(error).status).end(JSON.stringify(asTrivetError(error)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/r.git`;
}

async function answer(
  request: IncomingMessage, response: ServerResponse, gitDir: string, format: ObjectFormat,
): Promise<void> {
  const served = await serve(gitDir, format);
  const gitProtocol = request.headers['git-protocol'] as string | undefined;
  if (request.method === 'GET') {
    const service = new URL(request.url!, 'http://localhost').searchParams.get('service');
    const body = service === 'git-receive-pack'
      ? await advertiseReceivePack(served)
      : await advertiseUploadPack(served, gitProtocol);
    response.writeHead(200, { 'content-type': `application/x-${service}-advertisement` }).end(body);
    return;
  }
  const raw = Buffer.concat(await request.toArray() as Buffer[]);
  const body = request.headers['content-encoding'] === 'gzip' ? gunzipSync(raw) : raw;
  const leaving = new AbortController();
  response.once('close', () => { leaving.abort(); });
  const { stream } = await uploadPack({ served, gitProtocol, body, signal: leaving.signal });
  response.writeHead(200, { 'content-type': 'application/x-git-upload-pack-result' });
  await pipeline(stream, response);
}
