import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, normalize } from 'node:path';
import type { ExecutionContext } from 'ava';

// For tests: repositories to import from.

/** A directory that is gone after the test. */
export function scratch(t: Pick<ExecutionContext, 'teardown'>): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-import-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

export function git(directory: string, ...args: string[]): string {
  const identity = { GIT_AUTHOR_NAME: 'A', GIT_AUTHOR_EMAIL: 'a@example.org', GIT_COMMITTER_NAME: 'A', GIT_COMMITTER_EMAIL: 'a@example.org' };
  return execFileSync('git', args, { cwd: directory, encoding: 'utf8', env: { PATH: process.env['PATH'], HOME: '/nonexistent', LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', ...identity } }).trim();
}

/** A bare repository with two branches, a tag, a note and what another clone thought of its origin. HEAD is `trunk`. */
export function makeSource(path: string, fileBytes = 1_000): string {
  mkdirSync(dirname(path), { recursive: true });
  git(dirname(path), 'init', '-q', '--bare', '-b', 'trunk', path);
  const blob = execFileSync('git', ['hash-object', '-w', '--stdin'], { cwd: path, input: randomText(fileBytes), encoding: 'utf8' }).trim();
  const tree = execFileSync('git', ['mktree'], { cwd: path, input: `100644 blob ${blob}\tfile\n`, encoding: 'utf8' }).trim();
  const first = git(path, 'commit-tree', '-m', 'first', tree);
  const second = git(path, 'commit-tree', '-m', 'second', '-p', first, tree);
  git(path, 'update-ref', 'refs/heads/trunk', second);
  git(path, 'update-ref', 'refs/heads/main', first);
  git(path, 'tag', '-a', '-m', 'a tag', 'v1', first);
  git(path, 'update-ref', 'refs/notes/commits', first);
  git(path, 'update-ref', 'refs/remotes/origin/main', first);
  git(path, 'repack', '-adq');
  git(path, 'update-server-info');
  return path;
}

/** What an import of it shall have. */
export function refsOf(path: string): Map<string, string> {
  const lines = git(path, 'for-each-ref', '--format=%(refname) %(objectname)').split('\n').filter((line) => line !== '' && !line.startsWith('refs/remotes/'));
  return new Map(lines.map((line) => line.split(' ') as [string, string]));
}

/** Serves a directory's files, which is what git's dumb protocol needs. @param hold called with each path before it is answered */
export async function serveFiles(t: Pick<ExecutionContext, 'teardown'>, root: string, hold: (path: string) => Promise<void> = async () => {}): Promise<string> {
  const server = createServer((request, response) => {
    const path = join(root, normalize(new URL(request.url!, 'http://x').pathname));
    void hold(path).then(() => {
      if (statSync(path, { throwIfNoEntry: false })?.isFile() === true) response.end(readFileSync(path));
      else response.writeHead(404).end();
    });
  });
  await new Promise<void>((listening) => { server.listen(0, '127.0.0.1', listening); });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Overwrites a byte in the middle of a repository's only pack. */
export function damagePack(path: string): void {
  const name = execFileSync('sh', ['-c', 'ls objects/pack/*.pack'], { cwd: path, encoding: 'utf8' }).trim();
  const file = join(path, name);
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1]! ^= 0xff;
  rmSync(file);
  writeFileSync(file, bytes);
}

function randomText(bytes: number): string {
  let text = '';
  for (let line = 0; text.length < bytes; line++) text += `${line} ${Math.random().toString(36)}${Math.random().toString(36)}\n`;
  return text;
}
