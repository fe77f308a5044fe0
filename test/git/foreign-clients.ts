import { execFile, spawnSync } from 'node:child_process';
import fs, { existsSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import isomorphicGit from 'isomorphic-git';
import http from 'isomorphic-git/http/node';

/** Another implementation of git, as far as it talks to a server. A refspec is `[+]<source>:<destination>`. */
export interface ForeignClient {
  name: string;
  /** What has to be installed first; undefined when it is here. */
  missing: string | undefined;
  clone(url: string, directory: string): Promise<void>;
  fetch(directory: string): Promise<void>;
  /** Fails when the server refuses one of them. */
  push(directory: string, refspecs: readonly string[]): Promise<void>;
}

const run = promisify(execFile);

const DULWICH = `
import io, sys
from dulwich import porcelain
action, directory, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
quiet = open('/dev/null', 'wb')
if action == 'clone':
    porcelain.clone(rest[0], directory, errstream=quiet).close()
elif action == 'fetch':
    porcelain.fetch(directory, 'origin', errstream=quiet, outstream=open('/dev/null', 'w'))
else:
    # It tells about a refused ref, and then ends as if all were well.
    told = io.BytesIO()
    porcelain.push(directory, 'origin', [spec.encode() for spec in rest], errstream=told, outstream=quiet)
    if b' failed: ' in told.getvalue(): raise Exception(told.getvalue())
`;

const PYGIT2 = `
import sys, pygit2
action, directory, rest = sys.argv[1], sys.argv[2], sys.argv[3:]
class Callbacks(pygit2.RemoteCallbacks):
    def push_update_reference(self, name, message):
        if message: raise Exception(name + ': ' + message)
if action == 'clone':
    pygit2.clone_repository(rest[0], directory)
elif action == 'fetch':
    pygit2.Repository(directory).remotes['origin'].fetch()
else:
    pygit2.Repository(directory).remotes['origin'].push(rest, callbacks=Callbacks())
`;

/** The first Python of this machine that has a module. */
function pythonWith(module: string): string | undefined {
  return programs('python3').find((program) => spawnSync(program, ['-c', `import ${module}`]).status === 0);
}

function programs(name: string): string[] {
  return (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)).filter((path) => existsSync(path));
}

function pythonClient(name: string, module: string, debianPackage: string, script: string): ForeignClient {
  const python = pythonWith(module);
  const act = async (action: string, directory: string, args: readonly string[], home: string) => {
    await run(python!, ['-c', script, action, directory, ...args], { env: { PATH: process.env['PATH'], HOME: home } });
  };
  return {
    name,
    missing: python === undefined ? debianPackage : undefined,
    clone: (url, directory) => act('clone', directory, [url], dirname(directory)),
    fetch: (directory) => act('fetch', directory, [], dirname(directory)),
    push: (directory, refspecs) => act('push', directory, refspecs, dirname(directory)),
  };
}

/** Debian's jgit leaves out of its class path most of what it needs; this is where Debian puts it. */
const JAVA_FOLDER = join('/usr', 'share', 'java');
const JGIT_JARS = ['org.eclipse.jgit.lfs', 'org.eclipse.jgit.lfs.server', 'org.eclipse.jgit.http.apache', 'httpclient', 'httpcore', 'commons-logging', 'slf4j-nop'];

function jgitClient(): ForeignClient {
  const [program] = programs('jgit');
  const classPath = JGIT_JARS.map((name) => join(JAVA_FOLDER, `${name}.jar`)).join(delimiter);
  const works = program !== undefined
    && spawnSync(program, ['version'], { env: { ...process.env, JGIT_CLASSPATH: classPath } }).status === 0;
  const jgit = async (cwd: string, home: string, ...args: string[]) => {
    // Java can only name files that the locale can spell.
    const env = { PATH: process.env['PATH'], HOME: home, XDG_CONFIG_HOME: home, LC_ALL: 'C.UTF-8', JGIT_CLASSPATH: classPath };
    const { stdout, stderr } = await run(program!, args, { cwd, env });
    // It ends with status 0 even when a ref was refused.
    if (/\[(remote )?rejected\]|^fatal:|^error:/m.test(stdout + stderr)) throw new Error(stdout + stderr);
  };
  return {
    name: 'JGit',
    missing: works ? undefined : 'jgit-cli',
    clone: (url, directory) => jgit(dirname(directory), dirname(directory), 'clone', url, directory),
    fetch: (directory) => jgit(directory, dirname(directory), 'fetch', 'origin'),
    push: (directory, refspecs) => jgit(directory, dirname(directory), 'push', 'origin', ...refspecs),
  };
}

function isomorphicClient(): ForeignClient {
  return {
    name: 'isomorphic-git',
    missing: undefined,
    clone: async (url, directory) => { await isomorphicGit.clone({ fs, http, dir: directory, url }); },
    fetch: async (directory) => { await isomorphicGit.fetch({ fs, http, dir: directory, remote: 'origin', tags: true }); },
    push: async (directory, refspecs) => {
      for (const refspec of refspecs) {
        const [source = '', destination = ''] = refspec.replace(/^\+/, '').split(':');
        const result = await isomorphicGit.push({
          fs, http, dir: directory, remote: 'origin', force: refspec.startsWith('+'),
          // A deletion has to name some ref that exists here.
          ref: source === '' ? 'HEAD' : source, remoteRef: destination, delete: source === '',
        });
        if (!result.ok) throw new Error(JSON.stringify(result));
      }
    },
  };
}

export const FOREIGN_CLIENTS: readonly ForeignClient[] = [
  pythonClient('dulwich', 'dulwich', 'python3-dulwich', DULWICH),
  pythonClient('libgit2', 'pygit2', 'python3-pygit2', PYGIT2),
  jgitClient(),
  isomorphicClient(),
];
