import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';

/** Git processes this node has running, for the heartbeat and the metrics. */
export const running = new Set<ChildProcessWithoutNullStreams>();
/** The end of each of them, with the repository it works in. */
const ends = new Map<Promise<unknown>, string>();

const STDERR_LIMIT_BYTES = 16 * 1024;
const OUTPUT_LIMIT_BYTES = 64 * 1024 * 1024;

export interface GitOptions {
  /** The bare repository to work in. */
  gitDir: string;
  /** Added to the clean environment below. */
  env?: Record<string, string>;
  /** Ends the whole process group when it fires. */
  signal?: AbortSignal;
  /** Gets what others leave of processor and disk, where the machine has `nice` and `ionice`. */
  priority?: 'low';
}

/** A running git with its standard streams; `done` says how it ended and never rejects. */
export interface GitProcess {
  child: ChildProcessWithoutNullStreams;
  done: Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>;
  /** SIGKILL to git and to every process it started. Safe to call twice. */
  kill(): void;
}

/**
 * Starts git in a process group of its own: killing `git upload-pack` alone would leave its `pack-objects` running.
 * The environment is built from nothing, so that neither the operator's configuration nor a stray GIT_ variable
 * changes what git does.
 */
export function startGit(args: readonly string[], options: GitOptions): GitProcess {
  options.signal?.throwIfAborted();
  const [command = 'git', ...prefix] = options.priority === 'low' ? [...lowPriority(), 'git'] : [];
  const child = spawn(command, [...prefix, ...args], { cwd: options.gitDir, env: gitEnvironment(options), detached: true, stdio: 'pipe' });
  running.add(child);
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    if (stderr.length < STDERR_LIMIT_BYTES) stderr += chunk.toString('utf8');
  });
  // A git that ends early closes its input; the exit status tells the story, not EPIPE.
  child.stdin.on('error', () => {});
  const kill = () => killGroup(child);
  options.signal?.addEventListener('abort', kill, { once: true });
  const done = new Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }>((resolve) => {
    const finish = (code: number | null, signal: NodeJS.Signals | null) => {
      running.delete(child);
      options.signal?.removeEventListener('abort', kill);
      resolve({ code, signal, stderr: stderr.trim() });
    };
    child.once('close', finish);
    child.once('error', (error) => { stderr += error.message; finish(null, null); });
  });
  ends.set(done, options.gitDir);
  void done.then(() => ends.delete(done));
  return { child, done, kill };
}

/** Resolves when every git has ended that works in a repository now; those that start meanwhile don't matter. */
export async function gitsEnded(gitDir: string): Promise<void> {
  await Promise.all([...ends].filter(([, place]) => place === gitDir).map(([done]) => done));
}

/**
 * Runs git to its end.
 * @param input given on standard input
 * @returns standard output, 64 MiB at most
 * @throws TrivetError `git_failed` with `args`, `code` and `stderr` when it doesn't exit with 0
 */
export async function runGit(args: readonly string[], options: GitOptions & { input?: string | Buffer }): Promise<Buffer> {
  const git = startGit(args, options);
  const chunks: Buffer[] = [];
  let bytes = 0;
  git.child.stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes > OUTPUT_LIMIT_BYTES) git.kill();
    else chunks.push(chunk);
  });
  git.child.stdin.end(options.input ?? '');
  const { code, signal, stderr } = await git.done;
  if (code !== 0) throw new TrivetError('git_failed', { args, code, signal, stderr });
  return Buffer.concat(chunks);
}

/** What to put before a command. `-t`: a container may forbid it, and then the command runs all the same. */
function lowPriority(): string[] {
  const directories = (process.env['PATH'] ?? '').split(':');
  const has = (program: string) => directories.some((directory) => existsSync(join(directory, program)));
  return [...(has('nice') ? ['nice', '-n', '19'] : []), ...(has('ionice') ? ['ionice', '-t', '-c', '3'] : [])];
}

function gitEnvironment(options: GitOptions): NodeJS.ProcessEnv {
  return {
    PATH: process.env['PATH'],
    HOME: '/nonexistent',
    LC_ALL: 'C',
    GIT_DIR: options.gitDir,
    GIT_CONFIG_NOSYSTEM: '1',
    GIT_CONFIG_GLOBAL: '/dev/null',
    GIT_TERMINAL_PROMPT: '0',
    GIT_ADVICE: '0',
    ...options.env,
  };
}

function killGroup(child: ChildProcessWithoutNullStreams): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // the group is gone already
  }
}
