import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { resolve } from 'node:path';
import { isRunning, PATIENCE_MS, until } from '../../cluster.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** As `npm start` sets them. */
const FLAGS = { controller: ['--max-semi-space-size=8'], node: [] };
/** What a supervisor waits before it starts again what ended by itself. */
const RESTART_MS = 500;

export interface PartOptions {
  name: string;
  kind: 'controller' | 'node';
  /** Where it really listens; its peers know only the proxies in front of it. */
  port: number;
  log: string;
  environment: NodeJS.ProcessEnv;
  /** Told when the process ended though nobody had asked for it. */
  onDeath(part: Part, how: string): void;
}

/**
 * One process of the cluster. `up`: it is meant to run, and started again when it ends by itself, as a supervisor does.
 * `down`: it was killed, and stays so until `start`.
 */
export class Part {
  readonly name: string;
  readonly kind: 'controller' | 'node';
  readonly port: number;
  readonly log: string;
  readonly #options: PartOptions;
  #child: ChildProcess | undefined;
  #up = false;
  #stopped = false;
  starts = 0;

  constructor(options: PartOptions) {
    this.name = options.name;
    this.kind = options.kind;
    this.port = options.port;
    this.log = options.log;
    this.#options = options;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Of the process that runs; undefined while there is none. */
  get pid(): number | undefined {
    const child = this.#child;
    return child === undefined || child.exitCode !== null || child.signalCode !== null ? undefined : child.pid;
  }

  get up(): boolean {
    return this.#up;
  }

  start(): void {
    this.#up = true;
    if (this.pid !== undefined) return;
    this.#stopped = false;
    this.starts += 1;
    const log = openSync(this.log, 'a');
    const program = this.kind === 'controller' ? 'controller/main.ts' : 'replica/main.ts';
    const child = spawn(process.execPath, [...FLAGS[this.kind], program], { cwd: ROOT, env: this.#options.environment, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    RUNNING.add(child);
    child.once('exit', () => RUNNING.delete(child));
    child.once('exit', (code, signal) => {
      if (!this.#up || this.#child !== child) return;
      this.#options.onDeath(this, signal ?? `exit status ${code}`);
      void sleep(RESTART_MS).then(() => { if (this.#up && this.#child === child) this.start(); });
    });
  }

  /** SIGKILL, and it stays dead. Resolves when it is gone, unless its disk hangs. */
  async kill(): Promise<void> {
    this.#up = false;
    const { pid } = this;
    if (pid === undefined) return;
    process.kill(pid, 'SIGKILL');
    await until(() => !isRunning(pid), PATIENCE_MS, () => `${this.name} is still running`);
  }

  /** SIGTERM, as an operator stops it. @returns the exit status; null when a signal ended it, or nothing ran */
  async end(): Promise<number | null> {
    this.#up = false;
    const { pid } = this;
    if (pid === undefined) return null;
    this.continue();
    process.kill(pid, 'SIGTERM');
    await until(() => this.pid === undefined, PATIENCE_MS, () => `${this.name} is still running`);
    return this.#child!.exitCode;
  }

  stop(): void {
    if (this.pid === undefined || this.#stopped) return;
    this.#stopped = true;
    process.kill(this.pid, 'SIGSTOP');
  }

  continue(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    if (this.pid !== undefined) process.kill(this.pid, 'SIGCONT');
  }

  /** Whether it says that it serves. */
  async ready(): Promise<boolean> {
    if (this.pid === undefined) return false;
    try {
      return (await fetch(`${this.url}/readyz`, { signal: AbortSignal.timeout(3_000) })).ok;
    } catch {
      return false;
    }
  }
}

/** However this process ends, its parts go with it. */
const RUNNING = new Set<ChildProcess>();
process.on('exit', () => { for (const child of RUNNING) child.kill('SIGKILL'); });
