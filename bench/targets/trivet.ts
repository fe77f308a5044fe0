import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../test/cluster.ts';
import { endProcess } from './end-process.ts';
import type { Target } from './target.ts';

const READY_MS = 60_000;
const STOP_GRACE_MS = 20_000;
const READY_LINE = 'trivet is ready: ';
const START_COMMAND = join(import.meta.dirname, '..', '..', 'controller', 'cli', 'start.ts');

export interface TrivetOptions {
  /** Empty and the cluster's own. */
  directory: string;
  nodes: number;
  /** `sqlite` or a `mysql://` URL. */
  store: string;
  /** Whether a part that dies is started again; by default it is. */
  restart?: boolean;
}

export interface TrivetTarget extends Target {
  /** Of the controller. */
  url: string;
  /** The cluster's data directory. */
  data: string;
}

/**
 * Starts a cluster the way a user does: a controller and its nodes on this machine.
 * Throws Error with the end of the cluster's output when it doesn't say that it is ready.
 */
export async function startTrivet(options: TrivetOptions, environment: NodeJS.ProcessEnv): Promise<TrivetTarget> {
  const data = join(options.directory, 'data');
  await mkdir(data, { recursive: true });
  // Consecutive ones for the nodes, which keep them while they are down.
  const port = await freePorts(options.nodes + 1);
  const args = [
    START_COMMAND,
    '--port', String(port),
    '--data', data,
    '--nodes', String(options.nodes),
    '--store', options.store,
    ...(options.restart === false ? ['--no-restart'] : []),
  ];
  // A process group of its own: Ctrl-C reaches the bench first, which then ends the cluster in its own order.
  const child = spawn(process.execPath, args, { env: environment, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  const output = new TailOfOutput();
  child.stderr.on('data', (chunk: Buffer) => output.add(chunk));
  child.stderr.pipe(createWriteStream(join(options.directory, 'stderr.log')));
  let processIds: number[] = [];
  let url: string;
  try {
    url = await readyUrl(child, output);
    processIds = await readProcessIds(join(data, 'run'), child);
  } catch (error) {
    await endCluster(child, await readProcessIds(join(data, 'run'), child));
    throw error;
  }
  const store = options.store === 'sqlite' ? 'SQLite' : 'MySQL';
  return {
    name: 'trivet',
    settings: `a cluster of one controller and ${options.nodes} nodes with ${store}, default settings: `
      + 'objects, refs and journal are synced to disk on a quorum before a push is acknowledged',
    async createRepository(name) {
      const response = await fetch(`${url}/api/repos/${name}`, { method: 'POST' });
      const body = await response.text();
      if (!response.ok) throw new Error(`the cluster made no repository: ${response.status} ${body.slice(0, 300)}`);
      return `${url}/git/${name}.git`;
    },
    url,
    data,
    processIds: () => processIds,
    // Parts may have been started again since.
    stop: async () => endCluster(child, await readProcessIds(join(data, 'run'), child)),
  };
}

/** Waits for the line that says where the cluster listens. */
async function readyUrl(child: ChildProcess, output: TailOfOutput): Promise<string> {
  const timer = new AbortController();
  const lines = createInterface({ input: child.stdout! });
  const ready = new Promise<string>((resolve, reject) => {
    lines.on('line', (line) => {
      output.add(Buffer.from(`${line}\n`));
      const at = line.indexOf(READY_LINE);
      if (at >= 0) resolve(line.slice(at + READY_LINE.length).trim().split(/\s/)[0]!.replace(/\/$/, ''));
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      reject(new Error(`the cluster ended with ${signal ?? code}:\n${output.text}`));
    });
  });
  const late = sleep(READY_MS, undefined, { signal: timer.signal }).then(
    () => Promise.reject(new Error(`the cluster wasn't ready within ${READY_MS / 1000} s:\n${output.text}`)),
    () => new Promise<never>(() => {}),
  );
  try {
    return await Promise.race([ready, late]);
  } finally {
    timer.abort();
  }
}

/** The processes of the cluster: the one we started and those it wrote down. */
async function readProcessIds(directory: string, child: ChildProcess): Promise<number[]> {
  const names = (await readdir(directory).catch(() => [])).filter((name) => name.endsWith('.pid'));
  const texts = await Promise.all(names.map((name) => readFile(join(directory, name), 'utf8').catch(() => '')));
  const ids = texts.map(Number);
  return [...new Set([child.pid ?? 0, ...ids])].filter((id) => Number.isInteger(id) && id > 1);
}

/** Ends the cluster as a user does; only what then still runs of the processes it wrote down is killed. */
async function endCluster(child: ChildProcess, processIds: readonly number[]): Promise<void> {
  if (await endProcess(child, STOP_GRACE_MS)) return;
  for (const id of processIds) {
    try {
      process.kill(id, 'SIGKILL');
    } catch {
      // Gone already.
    }
  }
}

/** The last few kilobytes that a process wrote, for the complaint when it doesn't start. */
class TailOfOutput {
  #bytes = Buffer.alloc(0);

  add(chunk: Buffer): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]).subarray(-4096);
  }

  get text(): string {
    return this.#bytes.toString();
  }
}
