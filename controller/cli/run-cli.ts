import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import PQueue from 'p-queue';

// Test support: the real command as a process of its own.

const TRIVET = join(import.meta.dirname, 'trivet.ts');

/** Tests of a file begin all at once; that many processes that start at once starve one another into their own deadlines. */
const queue = new PQueue({ concurrency: 4 });

export interface CliResult {
  /** Null when it was ended by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface CliOptions {
  /** Controllers' URLs; none: the environment as it is given. */
  url?: string;
  environment?: Record<string, string>;
  /** How the command is called, if not as a file of its own. */
  program?: readonly string[];
  onStart?: (child: ChildProcess) => void;
  /** Called with the process and what it has printed so far, each time it prints something. */
  onOutput?: (child: ChildProcess, output: string) => void;
}

/** Runs `trivet` with these arguments, its output being pipes. */
export function runCli(args: readonly string[], { url, environment = {}, program = [process.execPath, TRIVET], ...told }: CliOptions = {}): Promise<CliResult> {
  return queue.add(() => collect(spawn(program[0]!, [...program.slice(1), ...args], { env: environmentOf(url, environment), stdio: ['ignore', 'pipe', 'pipe'] }), told));
}

/**
 * Runs `trivet` on a terminal of 100 columns and 30 rows. What it prints on either stream is in `stdout`, as a terminal
 * gets it. `script` is part of util-linux.
 */
export function runCliOnTerminal(args: readonly string[], { url, environment = {}, ...told }: CliOptions = {}): Promise<CliResult> {
  const command = `stty cols 100 rows 30; exec ${[process.execPath, TRIVET, ...args].map(quoted).join(' ')}`;
  const env = { TERM: 'xterm', SHELL: '/bin/sh', ...environmentOf(url, environment) };
  return queue.add(() => collect(spawn('script', ['--quiet', '--return', '--command', command, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'pipe'] }), told));
}

function environmentOf(url: string | undefined, environment: Record<string, string>): NodeJS.ProcessEnv {
  return { PATH: process.env['PATH'], ...(url === undefined ? {} : { TRIVET_CONTROLLER_URL: url }), ...environment };
}

function collect(child: ChildProcess, { onStart, onOutput }: Pick<CliOptions, 'onStart' | 'onOutput'>): Promise<CliResult> {
  onStart?.(child);
  let stdout = '';
  let stderr = '';
  child.stdout!.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk;
    onOutput?.(child, stdout + stderr);
  });
  child.stderr!.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    onOutput?.(child, stdout + stderr);
  });
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done({ code, stdout, stderr }));
  });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
