import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePorts } from '../../test/cluster.ts';
import type { RefUpdate } from '../client/push.ts';
import type { Git } from '../git.ts';
import { endProcess } from '../targets/end-process.ts';
import { startTrivet, type TrivetTarget } from '../targets/trivet.ts';
import type { ReliabilityBench } from './measure.ts';

const STEP_MS = 10;
const PATIENCE_MS = 120_000;
const STOP_GRACE_MS = 20_000;
const STATUS_DEADLINE_MS = 5_000;

export interface ReplicaView { node: string; state: string; generation: number; digest: string; reason: string | null }
export interface RepositoryView { name: string; id: string; generation: number; digest: string; replicas: ReplicaView[] }

/** `controller`, `controller2`, `node1`, `node2`, … */
export type Part = string;

export interface ClusterOptions {
  /** Names its directory in the bench's scratch directory. */
  name: string;
  /** Whether `npm start` starts again what dies, as it does by default. */
  restart: boolean;
  /** Instead of the bench's. */
  store?: string;
  /** Settings for every part. */
  environment?: NodeJS.ProcessEnv;
}

/**
 * A cluster of three nodes started as a user starts it, whose parts are then killed, stopped, and started one by one.
 * What a part was started with is read from /proc, so that it is started again with exactly that.
 */
export class ReliabilityCluster {
  readonly directory: string;
  readonly nodes = ['node1', 'node2', 'node3'];
  readonly #target: TrivetTarget;
  readonly #launches: Map<Part, Launch>;
  /** Parts that were started here and not by `npm start`. */
  readonly #own = new Map<Part, ChildProcess>();
  #ended: Promise<void> | undefined;

  private constructor(directory: string, target: TrivetTarget, launches: Map<Part, Launch>) {
    this.directory = directory;
    this.#target = target;
    this.#launches = launches;
  }

  /** Starts a cluster that ends with the bench at the latest. */
  static start(bench: ReliabilityBench, options: ClusterOptions): Promise<ReliabilityCluster> {
    if (bench.cleanup.begun) throw new Error('the bench is ending');
    bench.progress(`${options.name}: starting a cluster`);
    const starting = ReliabilityCluster.#start(bench, options);
    // A signal may come while it is starting: its end then waits until there is something to end.
    bench.cleanup.add(() => starting.then((cluster) => cluster.end(), () => {}));
    return starting;
  }

  static async #start(bench: ReliabilityBench, options: ClusterOptions): Promise<ReliabilityCluster> {
    const directory = join(bench.scratch, options.name);
    const failpoints = join(directory, 'failpoints');
    for (const part of ['controller', 'controller2', 'node1', 'node2', 'node3']) {
      await mkdir(join(failpoints, part), { recursive: true });
    }
    const environment = {
      ...bench.environment, NODE_ENV: 'test', TRIVET_FAILPOINTS: failpoints, ...options.environment,
    };
    const { store = bench.store, restart } = options;
    const target = await startTrivet({ directory, nodes: 3, store, restart }, environment);
    const launches = new Map<Part, Launch>();
    for (const part of ['controller', 'node1', 'node2', 'node3']) {
      launches.set(part, await readLaunch(await readPid(target.data, part)));
    }
    return new ReliabilityCluster(directory, target, launches);
  }

  get url(): string {
    return this.#target.url;
  }

  /** @returns the repository's git URL */
  create(repository: string): Promise<string> {
    return this.#target.createRepository(repository);
  }

  /** A repository as REST shows it. @param url of another controller than the first */
  async show(repository: string, url = this.url): Promise<RepositoryView> {
    const response = await fetch(`${url}/api/repos/${repository}`, { signal: AbortSignal.timeout(STATUS_DEADLINE_MS) });
    if (!response.ok) throw new Error(`${repository}: ${response.status} ${await response.text()}`);
    return await response.json() as RepositoryView;
  }

  /** A part's own URL. */
  urlOf(part: Part): string {
    const port = this.#environmentOf(part)['TRIVET_PORT'];
    return `http://127.0.0.1:${port}`;
  }

  async pid(part: Part): Promise<number> {
    const own = this.#own.get(part);
    return own?.pid ?? readPid(this.#target.data, part);
  }

  async signal(part: Part, signal: 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    process.kill(await this.pid(part), signal);
  }

  /** SIGKILL. Resolves when the process is gone. @returns its process id */
  async kill(part: Part): Promise<number> {
    const pid = await this.pid(part);
    process.kill(pid, 'SIGKILL');
    await this.until(() => !isRunning(pid), () => `${part} is still running`, 1);
    this.#own.delete(part);
    return pid;
  }

  /** Starts a part that is dead with what it was started with, and `environment` beside it. Doesn't wait for it. */
  start(part: Part, environment: NodeJS.ProcessEnv = {}): void {
    const launch = this.#launch(part);
    if (this.#ended !== undefined) throw new Error('the cluster is ending');
    const log = openSync(join(this.#target.data, 'log', `${part}.log`), 'a');
    const child = spawn(process.execPath, launch.args, {
      env: { ...launch.environment, ...environment }, stdio: ['ignore', log, log], detached: true,
    });
    closeSync(log);
    child.once('error', () => {});
    this.#own.set(part, child);
  }

  /** A second controller on the same store, and nodes that know both. */
  async addController(): Promise<void> {
    const first = this.#launch('controller');
    const port = await freePorts(1);
    this.#launches.set('controller2', {
      args: first.args,
      environment: {
        ...first.environment, TRIVET_PORT: String(port), TRIVET_CONTROLLER_NAME: 'controller2',
        TRIVET_FAILPOINTS: join(this.directory, 'failpoints', 'controller2'),
      },
    });
    this.start('controller2');
    await this.untilReady('controller2');
    const urls = `${this.url},${this.urlOf('controller2')}`;
    for (const node of this.nodes) {
      await this.kill(node);
      this.#launch(node).environment['TRIVET_CONTROLLERS'] = urls;
      this.start(node);
      await this.untilReady(node);
    }
    await this.untilNodesUsable('controller2');
  }

  /** Waits until a controller finds every node healthy. */
  async untilNodesUsable(controller: Part): Promise<void> {
    await this.until(async () => {
      const response = await fetch(`${this.urlOf(controller)}/api/nodes`, { signal: AbortSignal.timeout(STATUS_DEADLINE_MS) });
      const nodes = await response.json() as { state: string }[];
      return nodes.length === this.nodes.length && nodes.every(({ state }) => state === 'active');
    }, () => `${controller} doesn't find every node healthy`);
  }

  /** Makes a part kill itself when it passes a failpoint (`proto/failpoint.ts`). Strikes once. */
  async armKill(part: Part, failpoint: string): Promise<void> {
    await writeFile(join(this.directory, 'failpoints', part, failpoint), 'kill');
  }

  /** Waits until a part says that it serves. */
  async untilReady(part: Part, stepMs = STEP_MS): Promise<void> {
    await this.until(() => answers(`${this.urlOf(part)}/readyz`), () => `${part} isn't ready`, stepMs);
  }

  /** Waits until REST shows a node's replica as current at the repository's generation, with its digest. */
  async untilCurrent(repository: string, node: string, stepMs = STEP_MS): Promise<RepositoryView> {
    let view: RepositoryView | undefined;
    await this.until(async () => {
      view = await this.show(repository);
      const { generation, digest } = view;
      return view.replicas.some((replica) => (
        replica.node === node && replica.state === 'current' && replica.generation === generation && replica.digest === digest));
    }, () => `${repository} on ${node} isn't current: ${JSON.stringify(view)}`, stepMs);
    return view!;
  }

  /** Waits until every replica of a repository is current and equal. @param url of another controller than the first */
  async untilEqual(repository: string, url = this.url): Promise<RepositoryView> {
    let view: RepositoryView | undefined;
    await this.until(async () => {
      view = await this.show(repository, url);
      const { generation, digest } = view;
      return view.replicas.every((replica) => (
        replica.state === 'current' && replica.generation === generation && replica.digest === digest));
    }, () => `the replicas of ${repository} aren't equal: ${JSON.stringify(view)}`);
    return view!;
  }

  /** Promises that nodes hold now, over all repositories. */
  async promises(): Promise<number> {
    const counts = await Promise.all(this.nodes.map(async (node) => {
      const response = await fetch(`${this.urlOf(node)}/status`, {
        headers: { authorization: `Bearer ${this.#environmentOf(node)['TRIVET_TOKEN']}` },
        signal: AbortSignal.timeout(STATUS_DEADLINE_MS),
      });
      return (await response.json() as { promises: number }).promises;
    }));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  /** The bare repository of a replica on a node's disk. */
  replicaDirectory({ id }: RepositoryView, node: string): string {
    return join(this.#target.data, node, 'repositories', id.slice(-2), `${id}.git`);
  }

  /** Throws Error unless a replica's disk, as git itself reads it, holds exactly these refs and is sound. */
  async checkDisk(git: Git, view: RepositoryView, node: string, updates: readonly RefUpdate[]): Promise<void> {
    const directory = this.replicaDirectory(view, node);
    const listed = (await git.run(directory, ['for-each-ref', '--format=%(objectname) %(refname)'])).toString().trim();
    const expected = new Map(updates.map((update) => [update.ref, update.new]));
    const found = new Map(listed.split('\n').map((line) => line.split(' ').reverse() as [string, string]));
    for (const [ref, oid] of expected) {
      if (found.get(ref) !== oid) throw new Error(`on the disk of ${node} ${ref} should be ${oid} and is ${found.get(ref) ?? 'missing'}`);
    }
    if (found.size !== expected.size) throw new Error(`${found.size} refs are on the disk of ${node}, not ${expected.size}`);
    await git.run(directory, ['fsck', '--full', '--strict', '--no-dangling', '--no-progress']);
  }

  /** Waits until `condition` holds. Throws Error with the complaint when it doesn't in two minutes, or the cluster ends. */
  async until(condition: () => boolean | Promise<boolean>, complaint: () => string, stepMs = STEP_MS): Promise<void> {
    const deadline = performance.now() + PATIENCE_MS;
    while (!await condition()) {
      if (this.#ended !== undefined) throw new Error('the cluster is ending');
      if (performance.now() > deadline) throw new Error(complaint());
      await sleep(stepMs);
    }
  }

  /** Ends every process, also those that are stopped, and removes what they kept. */
  end(): Promise<void> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<void> {
    const run = join(this.#target.data, 'run');
    for (const file of await readdir(run).catch(() => [] as string[])) {
      // A stopped process heeds no SIGTERM.
      const pid = Number(await readFile(join(run, file), 'utf8').catch(() => ''));
      if (pid > 1 && isRunning(pid)) process.kill(pid, 'SIGCONT');
    }
    await Promise.all([...this.#own.values()].map(async (child) => {
      child.kill('SIGCONT');
      await endProcess(child, STOP_GRACE_MS);
    }));
    await this.#target.stop();
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #launch(part: Part): Launch {
    const launch = this.#launches.get(part);
    if (launch === undefined) throw new Error(`there is no ${part}`);
    return launch;
  }

  #environmentOf(part: Part): NodeJS.ProcessEnv {
    return this.#launch(part).environment;
  }
}

/** The command line and the environment of a process, as it was started. */
interface Launch {
  args: string[];
  environment: NodeJS.ProcessEnv;
}

async function readLaunch(pid: number): Promise<Launch> {
  const words = async (file: string) => (await readFile(`/proc/${pid}/${file}`, 'utf8')).split('\0').slice(0, -1);
  const environment = Object.fromEntries((await words('environ')).map((word) => {
    const at = word.indexOf('=');
    return [word.slice(0, at), word.slice(at + 1)];
  }));
  return { args: (await words('cmdline')).slice(1), environment };
}

async function readPid(data: string, part: Part): Promise<number> {
  const pid = Number(await readFile(join(data, 'run', `${part}.pid`), 'utf8'));
  if (!Number.isInteger(pid) || pid <= 1) throw new Error(`${part} has no process id`);
  return pid;
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(STATUS_DEADLINE_MS) });
    await response.arrayBuffer();
    return response.ok;
  } catch {
    return false;
  }
}
