import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fsck } from './fsck.ts';
import { runGit, type GitResult } from './run-git.ts';

const ROOT = resolve(import.meta.dirname, '..');
const START_DEADLINE_MS = 60_000;
/** How long a state that has to come is waited for. Reached only when it doesn't come. */
export const PATIENCE_MS = 60_000;

export interface ClusterOptions {
  nodes?: number;
  /** `sqlite`, or the URL of a database. */
  store?: string;
  /** Whether parts that die are started again; off by default, so that a test decides. */
  restart?: boolean;
  /** Settings for every part. */
  environment?: Record<string, string>;
}

export interface ReplicaView { node: string; state: string; generation: number; digest: string; reason: string | null }
export interface RepositoryView { name: string; id: string; generation: number; digest: string; defaultBranch: string; objectFormat: string; replicas: ReplicaView[] }

/** The name of a process of the cluster: `controller`, `node1`, `node2`, … */
export type Part = string;

/** A real cluster of real processes in a directory of its own, started as a user starts it. */
export class Cluster {
  readonly directory: string;
  readonly port: number;
  readonly nodes: number;
  readonly #launcher: ChildProcess;
  readonly #output: () => string;
  readonly #environment: NodeJS.ProcessEnv;
  /** Parts that a test started by itself. */
  readonly #own = new Map<Part, ChildProcess>();

  private constructor(directory: string, port: number, nodes: number, launcher: ChildProcess, output: () => string, environment: NodeJS.ProcessEnv) {
    this.directory = directory;
    this.port = port;
    this.nodes = nodes;
    this.#launcher = launcher;
    this.#output = output;
    this.#environment = environment;
  }

  static async start(options: ClusterOptions = {}): Promise<Cluster> {
    const directory = await mkdtemp(join(tmpdir(), 'trivet-test-'));
    return Cluster.startIn(directory, await freePorts((options.nodes ?? 3) + 1), options);
  }

  /** Starts a cluster on a directory that may hold one that was stopped. */
  static async startIn(directory: string, port: number, options: ClusterOptions = {}): Promise<Cluster> {
    const nodes = options.nodes ?? 3;
    const failpoints = join(directory, 'failpoints');
    for (const part of ['controller', ...nodeNames(nodes)]) await mkdir(join(failpoints, part), { recursive: true });
    const environment = {
      ...process.env, NODE_ENV: 'test', TRIVET_FAILPOINTS: failpoints, TRIVET_PROMISE_DEADLINE_MS: '1000', TRIVET_STOP_DELAY_MS: '0', ...options.environment,
    };
    const args = ['controller/cli/start.ts', '--port', String(port), '--data', join(directory, 'data'), '--nodes', String(nodes), '--store', options.store ?? 'sqlite'];
    const launcher = spawn(process.execPath, options.restart === true ? args : [...args, '--no-restart'], { cwd: ROOT, env: environment, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    launcher.stdout!.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    launcher.stderr!.on('data', (chunk: Buffer) => { output += chunk.toString(); });
    const cluster = new Cluster(directory, port, nodes, launcher, () => output, environment);
    await until(() => output.includes('trivet is ready') || launcher.exitCode !== null, START_DEADLINE_MS, () => `the cluster did not start:\n${output}`);
    if (launcher.exitCode !== null) throw new Error(`the cluster did not start:\n${output}`);
    return cluster;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** What the launcher printed. */
  get output(): string {
    return this.#output();
  }

  nodeNames(): string[] {
    return nodeNames(this.nodes);
  }

  gitUrl(repository: string): string {
    return `${this.url}/git/${repository}.git`;
  }

  async create(repository: string, body: object = {}): Promise<RepositoryView> {
    const response = await fetch(`${this.url}/api/repos/${repository}`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body),
    });
    if (response.status !== 201) throw new Error(`create ${repository}: ${response.status} ${await response.text()}`);
    return await response.json() as RepositoryView;
  }

  async show(repository: string): Promise<RepositoryView> {
    const response = await fetch(`${this.url}/api/repos/${repository}`);
    if (!response.ok) throw new Error(`show ${repository}: ${response.status} ${await response.text()}`);
    return await response.json() as RepositoryView;
  }

  async metrics(part: Part): Promise<string> {
    const response = await fetch(`${this.partUrl(part)}/metrics`);
    return response.text();
  }

  partUrl(part: Part): string {
    return `http://127.0.0.1:${part === 'controller' ? this.port : this.port + Number(part.slice('node'.length))}`;
  }

  async token(): Promise<string> {
    return (await readFile(join(this.directory, 'data', 'token'), 'utf8')).trim();
  }

  /** A new clone of nothing, with an identity and a first branch `main`. */
  async workTree(name = 'work'): Promise<WorkTree> {
    const path = await mkdtemp(join(this.directory, `${name}-`));
    const tree = new WorkTree(path);
    await tree.git('init', '-q', '-b', 'main', path);
    return tree;
  }

  /** The bare repository of a replica on a node's disk. */
  async replicaDirectory(repository: string, node: string): Promise<string> {
    const { id } = await this.show(repository);
    return join(this.directory, 'data', node, 'repositories', id.slice(-2), `${id}.git`);
  }

  /** Makes `part` do something when it passes a failpoint: `kill`, `stop`, `delay <ms>` or `error <text>`. Strikes once. */
  async arm(part: Part, failpoint: string, action: string): Promise<void> {
    await writeFile(join(this.directory, 'failpoints', part, failpoint), action);
  }

  /** Whether an armed failpoint was passed. */
  struck(part: Part, failpoint: string): boolean {
    return !existsSync(join(this.directory, 'failpoints', part, failpoint));
  }

  async pid(part: Part): Promise<number> {
    return Number(await readFile(join(this.directory, 'data', 'run', `${part}.pid`), 'utf8'));
  }

  /** Sends a signal to a part; for SIGKILL and SIGTERM, waits until it is gone. */
  async signal(part: Part, signal: NodeJS.Signals): Promise<void> {
    const pid = await this.signalOnly(part, signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await until(() => !isRunning(pid), PATIENCE_MS, () => `${part} is still running`);
  }

  /** Sends a signal and waits for nothing. @returns the process it was sent to */
  async signalOnly(part: Part, signal: NodeJS.Signals): Promise<number> {
    const pid = this.#own.get(part)?.pid ?? await this.pid(part);
    process.kill(pid, signal);
    return pid;
  }

  async waitUntilGone(part: Part): Promise<void> {
    const pid = this.#own.get(part)?.pid ?? await this.pid(part).catch(() => 0);
    if (pid > 0) await until(() => !isRunning(pid), PATIENCE_MS, () => `${part} is still running`);
  }

  /** Starts a part that is dead, with the environment the launcher gave it, and waits until it serves. @returns what it has logged */
  async startPart(part: Part, environment: Record<string, string> = {}): Promise<() => string> {
    const child = spawn(process.execPath, [part === 'controller' ? 'controller/main.ts' : 'replica/main.ts'], {
      cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'], env: { ...this.#environment, ...await this.#partEnvironment(part), ...environment },
    });
    let errors = '';
    let log = '';
    child.stderr!.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
    child.stdout!.on('data', (chunk: Buffer) => { log += chunk.toString(); });
    this.#own.set(part, child);
    await until(async () => child.exitCode !== null || await answers(`${this.partUrl(part)}/readyz`), PATIENCE_MS, () => `${part} does not answer\n${errors}`);
    if (child.exitCode !== null) throw new Error(`${part} ended while it started\n${errors}`);
    return () => log;
  }

  /** Waits until every configured replica is current, and returns the repository. */
  async converged(repository: string): Promise<RepositoryView> {
    let view = await this.show(repository);
    await until(async () => {
      view = await this.show(repository);
      return view.replicas.every((replica) => replica.state === 'current' && replica.generation === view.generation && replica.digest === view.digest);
    }, PATIENCE_MS, () => `replicas did not converge: ${JSON.stringify(view.replicas)}`);
    return view;
  }

  /** Ends everything and removes the directory. */
  async stop(): Promise<void> {
    await this.stopProcesses();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Ends everything as a user does, and leaves the directory. */
  async stopProcesses(): Promise<void> {
    for (const child of this.#own.values()) {
      if (child.exitCode === null && child.signalCode === null) {
        // A stopped process takes no SIGTERM.
        child.kill('SIGCONT');
        child.kill('SIGTERM');
        await new Promise((done) => { child.once('exit', done); });
      }
    }
    this.#own.clear();
    for (const part of ['controller', ...this.nodeNames()]) {
      const pid = await this.pid(part).catch(() => 0);
      if (pid > 0 && isRunning(pid)) process.kill(pid, 'SIGCONT');
    }
    if (this.#launcher.exitCode === null) {
      const ended = new Promise((done) => { this.#launcher.once('exit', done); });
      this.#launcher.kill('SIGTERM');
      await ended;
    }
  }

  async #partEnvironment(part: Part): Promise<Record<string, string>> {
    const data = join(this.directory, 'data');
    const common = { TRIVET_HOST: '127.0.0.1', TRIVET_TOKEN: await this.token(), TRIVET_FAILPOINTS: join(this.directory, 'failpoints', part) };
    if (part === 'controller') {
      const store = this.#launcher.spawnargs[this.#launcher.spawnargs.indexOf('--store') + 1]!;
      return {
        ...common, TRIVET_CONTROLLER_NAME: 'controller', TRIVET_PORT: String(this.port), TRIVET_REPLICATION_FACTOR: String(Math.min(this.nodes, 3)),
        TRIVET_STORE: store === 'sqlite' ? `file:${join(data, 'trivet.db')}` : store,
      };
    }
    const url = this.partUrl(part);
    return { ...common, TRIVET_NODE: part, TRIVET_PORT: new URL(url).port, TRIVET_URL: url, TRIVET_CONTROLLERS: this.url, TRIVET_DIRECTORY: join(data, part) };
  }
}

/** A git repository with a work tree, driven by the stock git of this machine. */
export class WorkTree {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  /** Runs git and fails the test when git fails. */
  async git(...args: string[]): Promise<string> {
    const result = await this.tryGit(...args);
    if (result.code !== 0) throw new Error(`git ${args.join(' ')}: ${result.stderr}`);
    return result.stdout.trim();
  }

  tryGit(...args: string[]): Promise<GitResult> {
    return runGit(this.path, args);
  }

  /** Writes files and commits them. Returns the commit's id. */
  async commit(message: string, files: Record<string, string> = { [message.replace(/\W/g, '_')]: message }): Promise<string> {
    for (const [name, content] of Object.entries(files)) {
      await mkdir(join(this.path, name, '..'), { recursive: true });
      await writeFile(join(this.path, name), content);
    }
    await this.git('add', '-A');
    await this.git('commit', '-q', '-m', message);
    return this.git('rev-parse', 'HEAD');
  }
}

/** Waits until `condition` holds; `complaint` is the message of the error when it doesn't in time. */
export async function until(condition: () => boolean | Promise<boolean>, deadlineMs: number, complaint: () => string): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!await condition()) {
    if (Date.now() > deadline) throw new Error(complaint());
    await sleep(25);
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Fails unless every node is as if nothing had happened: no lock, quarantine, promise, unfinished pack, and no git process
 * but the long-lived readers. What a node is still cleaning up gets its time.
 */
export async function expectNothingLeft(cluster: Cluster): Promise<void> {
  let left: string[] = [];
  await until(async () => {
    left = [];
    for (const node of cluster.nodeNames()) {
      const response = await fetch(`${cluster.partUrl(node)}/status`, { headers: { authorization: `Bearer ${await cluster.token()}` } });
      const status = await response.json() as { promises: number };
      if (status.promises !== 0) left.push(`${node}: ${status.promises} promises`);
      const root = join(cluster.directory, 'data', node, 'repositories');
      for (const entry of await readdir(root, { recursive: true }).catch(() => [] as string[])) {
        if (/\.lock$|\/quarantine\/.|\/tmp_|\.creating-|\.removed-|\.new$|\.keep$/.test(entry)) left.push(`${node}: ${entry}`);
      }
      left.push(...(await gitProcesses(await nodePid(cluster, node))).filter((command) => !command.includes('cat-file')).map((command) => `${node}: ${command}`));
    }
    return left.length === 0;
  }, 10_000, () => `left behind:\n${left.join('\n')}`);
}

/** Fails unless all replicas of a repository are current, hold the same refs, and pass `git fsck`. Returns the refs. */
export async function expectEqualReplicas(cluster: Cluster, repository: string): Promise<Map<string, string>> {
  const view = await cluster.converged(repository);
  const listings = await Promise.all(view.replicas.map(async ({ node }) => {
    const directory = await cluster.replicaDirectory(repository, node);
    const damage = await fsck(directory);
    if (damage !== undefined) throw new Error(`git fsck on ${node}: ${damage}`);
    const refs = await runGit(directory, ['for-each-ref', '--format=%(refname) %(objectname)']);
    const head = await runGit(directory, ['symbolic-ref', 'HEAD']);
    return `${head.stdout}${refs.stdout}`;
  }));
  for (const listing of listings) if (listing !== listings[0]) throw new Error(`replicas differ:\n${listings.join('\n---\n')}`);
  const [, ...lines] = listings[0]!.trim().split('\n');
  return new Map(lines.filter((line) => line !== '').map((line) => line.split(' ') as [string, string]));
}

async function nodePid(cluster: Cluster, node: string): Promise<number> {
  return cluster.pid(node).catch(() => 0);
}

/** The command lines of a process's children that are git. */
async function gitProcesses(parent: number): Promise<string[]> {
  const commands: string[] = [];
  for (const task of await readdir(`/proc/${parent}/task`).catch(() => [] as string[])) {
    const children = await readFile(`/proc/${parent}/task/${task}/children`, 'utf8').catch(() => '');
    for (const pid of children.split(' ').filter((text) => text !== '')) {
      // It may have ended meanwhile.
      commands.push((await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim());
    }
  }
  return commands.filter((command) => command.startsWith('git'));
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(url, { signal: AbortSignal.timeout(2_000) })).ok;
  } catch {
    return false;
  }
}

function nodeNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `node${i + 1}`);
}

/** The first of `count` consecutive ports that are free on loopback. */
export async function freePorts(count: number): Promise<number> {
  for (let attempt = 0; attempt < 200; attempt++) {
    // Below the range that the kernel takes ports for outgoing connections from.
    const first = 12_000 + Math.floor(Math.random() * 2_000) * 10;
    const free = await Promise.all(Array.from({ length: count }, (_, i) => isFree(first + i)));
    if (free.every(Boolean)) return first;
  }
  throw new Error('no free ports');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer().once('error', () => done(false)).listen(port, '127.0.0.1', () => server.close(() => done(true)));
  });
}
