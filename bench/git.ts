import { spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { createWriteStream } from 'node:fs';
import { buffer, text } from 'node:stream/consumers';

/** What a git process reads: a text, or pieces produced as fast as git takes them. */
export type GitInput = string | Iterable<string | Buffer>;

/** Starts git for building repositories, never for a measured request; `stop` ends what is still running. */
export class Git {
  readonly #environment: NodeJS.ProcessEnv;
  readonly #running = new Set<ChildProcess>();
  #stopped = false;

  constructor(environment: NodeJS.ProcessEnv) {
    this.#environment = environment;
  }

  /** What git wrote. Throws Error with git's complaint when it fails. */
  async run(directory: string, args: readonly string[], input: GitInput = ''): Promise<Buffer> {
    const child = this.#start(directory, args);
    const [output] = await Promise.all([buffer(child.stdout), this.#finish(child, args, input)]);
    return output;
  }

  /** Like `run`, with the output in a file. */
  async runToFile(directory: string, args: readonly string[], input: GitInput, path: string): Promise<void> {
    const child = this.#start(directory, args);
    await Promise.all([pipeline(child.stdout, createWriteStream(path)), this.#finish(child, args, input)]);
  }

  stop(): void {
    this.#stopped = true;
    for (const child of this.#running) child.kill('SIGTERM');
  }

  #start(directory: string, args: readonly string[]): ChildProcessWithoutNullStreams {
    if (this.#stopped) throw new Error('the bench is ending');
    const child = spawn('git', ['-C', directory, ...args], { env: this.#environment, stdio: 'pipe' });
    this.#running.add(child);
    child.once('close', () => this.#running.delete(child));
    return child;
  }

  async #finish(child: ChildProcessWithoutNullStreams, args: readonly string[], input: GitInput): Promise<void> {
    const closed = new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (code, signal) => resolve(String(signal ?? code)));
    });
    const source = Readable.from(typeof input === 'string' ? [input] : input);
    // When git dies early its pipe breaks, but the exit status and stderr say more than EPIPE.
    const fed = pipeline(source, child.stdin).catch(() => {});
    const [ended, complaint] = await Promise.all([closed, text(child.stderr), fed]);
    if (ended !== '0') throw new Error(`git ${args.join(' ')} ended with ${ended}: ${complaint.trim()}`);
  }
}
