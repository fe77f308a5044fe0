import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { isBranch, isHiddenRef, isRefName } from '@trivet/proto/ref-name.ts';
import { packDirectory } from '../git/pack-directory.ts';
import { runGit, startGit } from '../git/process.ts';
import type { RoundProgress } from '../repair/progress.ts';
import { scanRefs } from '../refs/scan.ts';
import type { ImportSource } from './source.ts';

/** git gives up a source that sends less than a byte a second for this long. */
const SILENCE_S = 60;
/** How often it is looked how much has come. */
const LOOK_MS = 500;
/** What git said last is what went wrong. */
const LAST_WORDS_BYTES = 2_000;
/**
 * Everything but what another clone thought of its origin, and names that belong to this program. Not by name only: a
 * repository may have a million of them.
 */
const REFSPECS = ['+refs/*:refs/*', '^refs/remotes/*', '^refs/trivet/*'];

export interface FetchRequest {
  /** An empty bare repository. */
  gitDir: string;
  source: ImportSource;
  maxBytes: number;
  /** Whether the disk has more than what is kept back. */
  hasRoom: () => boolean;
  progress: RoundProgress;
  signal: AbortSignal;
}

/** What a source has. */
export interface Fetched {
  /** The branch that its HEAD points at; undefined when it points at none that is there. */
  head: string | undefined;
  refs: [name: string, oid: Oid][];
}

/**
 * Fetches everything a source has. git checks every object as it would one that is pushed, and that all they name is there.
 * @throws TrivetError import_failed, saying why; disk_failure; the signal's reason
 */
export async function fetchAll(request: FetchRequest, objectFormat: ObjectFormat): Promise<Fetched> {
  const { gitDir, source, progress } = request;
  const env = await environmentOf(request);
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const over = new AbortController();
  const watching = watchSize(request, over.signal).catch((error: unknown) => stop.abort(error));
  try {
    const args = ['fetch', '--progress', '--no-tags', '--no-write-fetch-head', '--no-auto-maintenance', '--no-recurse-submodules', '--', source.location, ...REFSPECS];
    const git = startGit(args, { gitDir, env, signal, priority: 'low' });
    let said = '';
    git.child.stderr.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString('utf8')).slice(-LAST_WORDS_BYTES);
      for (const line of said.split(/[\r\n]/)) progress.git(line);
    });
    git.child.stdout.resume();
    git.child.stdin.end();
    const { code } = await git.done;
    over.abort();
    await watching;
    signal.throwIfAborted();
    if (code !== 0) throw new TrivetError('import_failed', { problem: lastWords(said) });
    const { refs } = await scanRefs(gitDir, objectFormat);
    const taken = [...refs].filter(([name]) => isRefName(name) && !isHiddenRef(name) && name.split('/').length > 2);
    return { head: await headOf(request, env, new Set(taken.map(([name]) => name)), signal), refs: taken };
  } finally {
    over.abort();
    await watching;
  }
}

/** The branch a source begins on; of one that doesn't say, a usual name or the first. */
async function headOf({ gitDir, source }: FetchRequest, env: Record<string, string>, names: ReadonlySet<string>, signal: AbortSignal): Promise<string | undefined> {
  const said = await runGit(['ls-remote', '--symref', '--', source.location, 'HEAD'], { gitDir, env, signal }).catch(() => Buffer.alloc(0));
  signal.throwIfAborted();
  const told = /^ref: (\S+)\tHEAD$/m.exec(said.toString('utf8'))?.[1];
  return [told, 'refs/heads/main', 'refs/heads/master', ...names].find((name) => name !== undefined && isBranch(name) && names.has(name));
}

/** Through the environment, for everyone can read a command line; and with a file, which alone a child of git's own believes. */
async function environmentOf({ gitDir, source, signal }: FetchRequest): Promise<Record<string, string>> {
  signal.throwIfAborted();
  const global = join(gitDir, 'import.config');
  const owned = source.directory === undefined ? [] : [source.directory, join(source.directory, '.git')];
  await writeFile(global, owned.map((path) => `[safe]\n\tdirectory = "${path.replace(/[\\"]/g, '\\$&')}"\n`).join(''));
  const config = [
    ['protocol.allow', 'never'], ['protocol.version', '2'], ['transfer.bundleURI', 'false'], ['fetch.fsckObjects', 'true'], ['fetch.unpackLimit', '1'], ['pack.threads', '1'],
    ['core.bigFileThreshold', '16m'], ['http.lowSpeedLimit', '1'], ['http.lowSpeedTime', String(SILENCE_S)], ...source.config,
  ] as const;
  const env: Record<string, string> = { GIT_CONFIG_GLOBAL: global, GIT_CONFIG_COUNT: String(config.length), GIT_NO_REPLACE_OBJECTS: '1' };
  config.forEach(([key, value], i) => Object.assign(env, { [`GIT_CONFIG_KEY_${i}`]: key, [`GIT_CONFIG_VALUE_${i}`]: value }));
  return env;
}

/** Throws when more has come than may, or the disk is nearly full. */
async function watchSize({ gitDir, maxBytes, hasRoom, progress }: FetchRequest, over: AbortSignal): Promise<void> {
  for (let last = false; !last;) {
    // Once more when it is over: most of it may have come since the last look.
    last = over.aborted;
    const bytes = await bytesIn(packDirectory(gitDir));
    progress.bytes = Math.max(progress.bytes, bytes);
    if (bytes > maxBytes) throw new TrivetError('import_failed', { problem: 'larger than TRIVET_IMPORT_BYTES', limit: maxBytes });
    if (!hasRoom()) throw new TrivetError('disk_failure', { problem: 'there is no room for the import' });
    await sleep(LOOK_MS, undefined, { signal: over }).catch(() => {});
  }
}

async function bytesIn(directory: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(directory).catch(() => [])) bytes += (await lstat(join(directory, name)).catch(() => undefined))?.size ?? 0;
  return bytes;
}

function lastWords(said: string): string {
  const lines = said.split(/[\r\n]+/).map((line) => line.trim()).filter((line) => /^(fatal|error|remote): /.test(line));
  return [...new Set(lines)].slice(-5).join('; ') || 'git could not fetch it';
}
