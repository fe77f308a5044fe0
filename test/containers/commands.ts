import { spawn } from 'node:child_process';

/** How long any one command may take: pulling packages and npm's are the slow ones. */
const DEADLINE_MS = 15 * 60_000;

export interface Result { code: number; stdout: string; stderr: string }

export interface RunOptions {
  cwd?: string;
  environment?: NodeJS.ProcessEnv;
}

/** Runs a program to its end, whatever comes of it. */
export function attempt(program: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  return new Promise((done) => {
    const child = spawn(program, args, { cwd: options.cwd, env: options.environment ?? process.env, stdio: ['ignore', 'pipe', 'pipe'], timeout: DEADLINE_MS });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => { stdout += chunk.toString(); });
    child.stderr.on('data', (chunk: Buffer) => { stderr += chunk.toString(); });
    child.once('error', (error) => done({ code: 127, stdout, stderr: error.message }));
    child.once('close', (code) => done({ code: code ?? 128, stdout, stderr }));
  });
}

/** Runs a program that has to succeed, and gives what it wrote to standard output. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const result = await attempt(program, args, options);
  if (result.code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${result.code}:\n${result.stdout.slice(-4_000)}${result.stderr.slice(-4_000)}`);
  return result.stdout.trim();
}
