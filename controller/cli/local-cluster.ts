import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { openSync, closeSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

export interface LocalClusterOptions {
  port: number;
  directory: string;
  nodes: number;
  store: string;
  /** Whether a part that dies is started again. */
  restart: boolean;
  environment: NodeJS.ProcessEnv;
  say(text: string): void;
}

const ROOT = resolve(import.meta.dirname, '../..');
const START_DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 20_000;
const RESTART_MS = [100, 500, 1_000, 2_000, 5_000];
/**
 * The controller holds most and passes everything on: with V8's default young generation it peaked at 309 MiB during a
 * push of 500 MB, with this one below 256. It costs some throughput with many clients; nodes stay below without.
 */
const CONTROLLER_V8_FLAGS = ['--max-semi-space-size=8'];
/** One malloc arena, and free memory given back: chunks of 64 KiB are allocated and freed by the thousand. */
const MALLOC = { MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072' };
/** Nobody chooses between these parts, so none waits to be taken out; and each ends by itself before it is ended. */
const STOPPING = { TRIVET_STOP_DELAY_MS: '0', TRIVET_STOP_MS: '15000' };
/** A part that ran for so long is taken to be well when it dies, and is started again at once. */
const WELL_AFTER_MS = 30_000;

interface Part {
  name: string;
  program: string;
  flags: readonly string[];
  url: string;
  environment: NodeJS.ProcessEnv;
  child: ChildProcess | undefined;
  startedAt: number;
  failures: number;
}

/**
 * A controller and some nodes as processes of this machine, each with a directory, a log and a pid file of its own:
 * `DIR/node1/`, `DIR/log/node1.log`, `DIR/run/node1.pid`. Starts again what dies, stops everything together.
 */
export class LocalCluster {
  readonly #options: LocalClusterOptions;
  readonly #directory: string;
  readonly #parts: Part[] = [];
  #stopping = false;
  #up = false;

  constructor(options: LocalClusterOptions) {
    this.#options = options;
    this.#directory = resolve(options.directory);
  }

  /** Resolves when every part answers, after saying so. Throws when one of them ends before that. */
  async start(): Promise<void> {
    await this.#claimDirectory();
    const token = await this.#token();
    this.#define(token);
    for (const part of this.#parts) await this.#spawn(part);
    const deadline = Date.now() + START_DEADLINE_MS;
    for (const part of this.#parts) await this.#untilReady(part, deadline);
    if (this.#stopping) return;
    this.#up = true;
    const { port, nodes } = this.#options;
    this.#options.say(`trivet is ready: http://127.0.0.1:${port} (${nodes} ${nodes === 1 ? 'node' : 'nodes'}, data in ${this.#options.directory})`);
  }

  /** SIGTERM to every part, SIGKILL to what doesn't end in time. Resolves when nothing runs any more. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#parts.map(async ({ child, name }) => {
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
      const ended = new Promise<void>((done) => { child.once('exit', () => done()); });
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_DEADLINE_MS);
      await ended;
      clearTimeout(timer);
      await rm(this.#pidFile(name), { force: true });
    }));
    if (this.#parts.length > 0) await rm(this.#pidFile('trivet'), { force: true });
  }

  #define(token: string): void {
    const { port, nodes, store, environment } = this.#options;
    const controllerUrl = `http://127.0.0.1:${port}`;
    const common = {
      // Compiled code is kept between starts: it takes a third off the time.
      NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'compile'),
      ...MALLOC, ...STOPPING, ...environment, TRIVET_HOST: '127.0.0.1', TRIVET_TOKEN: token,
    };
    const part = (name: string, program: string, partPort: number, own: NodeJS.ProcessEnv) => {
      const failpoints = environment['TRIVET_FAILPOINTS'];
      this.#parts.push({
        name, program: join(ROOT, program), flags: name === 'controller' ? CONTROLLER_V8_FLAGS : [], url: `http://127.0.0.1:${partPort}`, child: undefined, startedAt: 0, failures: 0,
        environment: { ...common, ...own, TRIVET_PORT: String(partPort), ...(failpoints === undefined ? {} : { TRIVET_FAILPOINTS: join(failpoints, name) }) },
      });
    };
    part('controller', 'controller/main.ts', port, {
      TRIVET_CONTROLLER_NAME: 'controller',
      TRIVET_STORE: store === 'sqlite' ? `file:${join(this.#directory, 'trivet.db')}` : store,
      TRIVET_REPLICATION_FACTOR: environment['TRIVET_REPLICATION_FACTOR'] ?? String(Math.min(nodes, 3)),
    });
    for (let i = 1; i <= nodes; i++) {
      const nodePort = port + i;
      part(`node${i}`, 'replica/main.ts', nodePort, {
        TRIVET_NODE: `node${i}`, TRIVET_CONTROLLERS: controllerUrl, TRIVET_DIRECTORY: join(this.#directory, `node${i}`),
        TRIVET_URL: `http://127.0.0.1:${nodePort}`,
      });
    }
  }

  async #spawn(part: Part): Promise<void> {
    const log = openSync(join(this.#directory, 'log', `${part.name}.log`), 'a');
    const child = spawn(process.execPath, [...part.flags, part.program], { env: part.environment, stdio: ['ignore', log, log] });
    closeSync(log);
    part.child = child;
    part.startedAt = Date.now();
    child.once('exit', (code, signal) => { void this.#died(part, signal ?? `exit status ${code}`); });
    child.once('error', () => {});
    await writeFile(this.#pidFile(part.name), `${child.pid}\n`);
  }

  async #died(part: Part, how: string): Promise<void> {
    if (this.#stopping || !this.#up) return;
    await rm(this.#pidFile(part.name), { force: true });
    if (!this.#options.restart) {
      this.#options.say(`${part.name} ended (${how})`);
      return;
    }
    part.failures = Date.now() - part.startedAt > WELL_AFTER_MS ? 0 : part.failures + 1;
    const pauseMs = RESTART_MS[Math.min(part.failures, RESTART_MS.length - 1)]!;
    this.#options.say(`${part.name} ended (${how}), starting it again`);
    await sleep(pauseMs);
    // Stopping may have begun meanwhile.
    if (!this.#stopping) await this.#spawn(part);
  }

  async #untilReady(part: Part, deadline: number): Promise<void> {
    while (!this.#stopping) {
      const { child } = part;
      if (child === undefined || child.exitCode !== null || child.signalCode !== null) {
        throw new Error(`${part.name} ended while it started\n${await this.#logTail(part)}`);
      }
      if (await answers(`${part.url}/readyz`)) return;
      if (Date.now() > deadline) throw new Error(`${part.name} did not answer within ${START_DEADLINE_MS / 1000} s\n${await this.#logTail(part)}`);
      await sleep(25);
    }
  }

  /** One cluster for one directory: two would write the same files. */
  async #claimDirectory(): Promise<void> {
    await mkdir(join(this.#directory, 'run'), { recursive: true });
    await mkdir(join(this.#directory, 'log'), { recursive: true });
    const pid = Number(await readFile(this.#pidFile('trivet'), 'utf8').catch(() => ''));
    if (pid > 0 && pid !== process.pid && isRunning(pid)) throw new Error(`a cluster with process id ${pid} uses ${this.#directory} already`);
    await writeFile(this.#pidFile('trivet'), `${process.pid}\n`);
  }

  async #token(): Promise<string> {
    const path = join(this.#directory, 'token');
    try {
      return (await readFile(path, 'utf8')).trim();
    } catch {
      const token = randomBytes(24).toString('hex');
      await mkdir(dirname(path), { recursive: true });
      await writeFile(path, `${token}\n`, { mode: 0o600 });
      return token;
    }
  }

  async #logTail(part: Part): Promise<string> {
    const log = await readFile(join(this.#directory, 'log', `${part.name}.log`), 'utf8').catch(() => '');
    return log.trimEnd().split('\n').slice(-5).join('\n');
  }

  #pidFile(name: string): string {
    return join(this.#directory, 'run', `${name}.pid`);
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
