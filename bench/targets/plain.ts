import { spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Git } from '../git.ts';
import { endProcess } from './end-process.ts';
import { freePort } from './free-port.ts';
import { findLighttpd } from './lighttpd.ts';
import type { Target } from './target.ts';

const READY_MS = 10_000;
const STOP_GRACE_MS = 5_000;

/** How a plain server is set up beyond git's defaults. */
export interface PlainOptions {
  name: string;
  /** Empty and the server's own: it holds configuration, repositories and the log. */
  directory: string;
  /** A value for `core.fsync`; undefined leaves git's default. */
  fsync?: string;
}

/**
 * Starts `git http-backend` behind lighttpd: what a single plain copy costs. Git has its default configuration except
 * `http.receivepack=true`.
 * Throws Error when lighttpd is missing or doesn't answer.
 */
export async function startPlain(
  options: PlainOptions,
  git: Git,
  environment: NodeJS.ProcessEnv,
  progress: (text: string) => void,
): Promise<Target> {
  const program = await findLighttpd(environment, progress);
  const repositories = join(options.directory, 'repositories');
  const uploads = join(options.directory, 'uploads');
  const configuration = join(options.directory, 'lighttpd.conf');
  const log = join(options.directory, 'error.log');
  await Promise.all([mkdir(repositories, { recursive: true }), mkdir(uploads, { recursive: true })]);
  const backend = join((await git.run('/', ['--exec-path'])).toString().trim(), 'git-http-backend');
  const port = await freePort();
  await writeFile(configuration, lighttpdConfiguration({ port, backend, repositories, uploads, log, environment }));

  // A process group of its own: Ctrl-C reaches the bench first, which then ends the server in its own order.
  const child = spawn(program, ['-D', '-f', configuration], { env: environment, stdio: 'ignore', detached: true });
  const url = `http://127.0.0.1:${port}/git`;
  try {
    await untilAnswering(url, () => child.exitCode === null && child.pid !== undefined);
  } catch (cause) {
    await endProcess(child, STOP_GRACE_MS);
    throw new Error(`lighttpd didn't start: ${await readFile(log, 'utf8').catch(() => 'no log')}`, { cause });
  }
  return {
    name: options.name,
    settings: `git http-backend behind lighttpd, default git configuration except http.receivepack=true${
      options.fsync === undefined
        ? ' (core.fsync default: packs are synced to disk, loose objects and refs are not)'
        : `, core.fsync=${options.fsync}`}`,
    async createRepository(name) {
      const path = join(repositories, `${name}.git`);
      await git.run('/', ['init', '--quiet', '--bare', '--initial-branch=main', path]);
      await git.run(path, ['config', 'http.receivepack', 'true']);
      if (options.fsync !== undefined) await git.run(path, ['config', 'core.fsync', options.fsync]);
      return `${url}/${name}.git`;
    },
    processIds: () => (child.pid === undefined ? [] : [child.pid]),
    async stop() {
      await endProcess(child, STOP_GRACE_MS);
    },
  };
}

interface LighttpdSettings {
  port: number;
  backend: string;
  repositories: string;
  uploads: string;
  log: string;
  environment: NodeJS.ProcessEnv;
}

// Streaming in both directions makes the yardstick as fast and as small as it can be: by default lighttpd spools a
// whole request to disk before it starts the program, and holds a whole response back until the program has ended.
function lighttpdConfiguration(settings: LighttpdSettings): string {
  const variables = { ...settings.environment, GIT_PROJECT_ROOT: settings.repositories, GIT_HTTP_EXPORT_ALL: '1' };
  const assignments = Object.entries(variables).map(([key, value]) => `    "${key}" => "${value}"`).join(',\n');
  return `server.modules = ("mod_alias", "mod_setenv", "mod_cgi")
server.bind = "127.0.0.1"
server.port = ${settings.port}
server.document-root = "${settings.repositories}"
server.errorlog = "${settings.log}"
server.upload-dirs = ("${settings.uploads}")
server.stream-request-body = 2
server.stream-response-body = 1
server.max-keep-alive-requests = 1000000
server.max-keep-alive-idle = 60
alias.url = ("/git" => "${settings.backend}")
$HTTP["url"] =~ "^/git/" {
  cgi.assign = ("" => "")
  setenv.set-environment = (
${assignments}
  )
}
`;
}

/** Waits until the server answers anything at all. Throws Error when it has ended or the time is over. */
async function untilAnswering(url: string, running: () => boolean): Promise<void> {
  const end = performance.now() + READY_MS;
  for (;;) {
    try {
      await (await fetch(`${url}/`)).arrayBuffer();
      return;
    } catch (cause) {
      if (!running()) throw new Error('the server ended', { cause });
      if (performance.now() > end) throw new Error(`no answer within ${READY_MS / 1000} s`, { cause });
      await sleep(50);
    }
  }
}
