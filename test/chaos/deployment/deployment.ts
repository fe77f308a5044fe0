import { randomBytes } from 'node:crypto';
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { NodeStatus } from '@trivet/proto/messages.ts';
import { freePorts, PATIENCE_MS, until, type RepositoryView } from '../../cluster.ts';
import { startMariaDb, type MariaDb } from '../../mariadb.ts';
import { CLIENTS, Network } from '../network/network.ts';
import { Disk } from './disk.ts';
import { Part } from './part.ts';

const ROOT = resolve(import.meta.dirname, '../../..');
/** The name of the database's end of a link. */
export const DATABASE = 'database';

export interface DeploymentOptions {
  nodes: number;
  controllers: number;
  /** Nodes that are ready to be started later, with `join`. */
  spares?: number;
  /** How many replicas a repository gets; as many as there are nodes when undefined. */
  replicationFactor?: number;
  /** The size of each disk; undefined: plain directories, to which nothing is done. */
  diskBytes?: number;
  /** Settings for every part, beside those that wire it. */
  environment?: Record<string, string>;
  /** Told when a part ended though nobody had asked for it. */
  onDeath?(part: Part, how: string): void;
  /** Told when something that isn't a part connects to one. */
  onStranger?(to: string): void;
}

/**
 * A cluster as it runs in production: several controllers on one database server, nodes with a disk each, every part a
 * process of its own, and between any two of them a wire that can be cut.
 */
export class Deployment {
  readonly directory: string;
  readonly token = randomBytes(24).toString('hex');
  /** Those that belong to the cluster. */
  readonly nodes: Part[] = [];
  readonly #spares: Part[] = [];
  readonly controllers: Part[] = [];
  readonly disks = new Map<string, Disk>();
  readonly network: Network;
  database!: MariaDb;
  readonly #options: DeploymentOptions;
  readonly #clientPorts = new Map<string, number>();

  private constructor(directory: string, options: DeploymentOptions) {
    this.directory = directory;
    this.#options = options;
    this.network = new Network(() => this.#pids(), options.onStranger);
  }

  /** Starts everything and waits until it serves. */
  static async start(options: DeploymentOptions): Promise<Deployment> {
    const deployment = new Deployment(await mkdtemp(join(tmpdir(), 'trivet-chaos-')), options);
    try {
      await deployment.#prepare();
      for (const part of deployment.parts) part.start();
      await deployment.untilReady(PATIENCE_MS);
      return deployment;
    } catch (error) {
      await deployment.stop().catch(() => {});
      throw error;
    }
  }

  get parts(): Part[] {
    return [...this.controllers, ...this.nodes];
  }

  part(name: string): Part {
    const part = this.parts.find((each) => each.name === name);
    if (part === undefined) throw new Error(`there is no part ${name}`);
    return part;
  }

  disk(node: string): Disk {
    return this.disks.get(node)!;
  }

  get logDirectory(): string {
    return join(this.directory, 'log');
  }

  /** Where clients reach a repository, through the wire that the nemesis may cut. */
  gitUrl(controller: string, repository: string): string {
    return `http://127.0.0.1:${this.#clientPorts.get(controller)}/git/${repository}.git`;
  }

  /** The bare repository of a replica on a node's disk. */
  replicaDirectory(node: string, id: string): string {
    return join(this.disk(node).path, 'repositories', id.slice(-2), `${id}.git`);
  }

  /** All repositories as a controller shows them. Throws when it doesn't answer. */
  async repositories(controller: Part): Promise<RepositoryView[]> {
    const response = await fetch(`${controller.url}/api/repos?limit=1000`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`${controller.name}: ${response.status} ${await response.text()}`);
    return await response.json() as RepositoryView[];
  }

  /** Has every replica of a repository checked object by object. @returns whether all were as they should be */
  async verify(repository: string): Promise<boolean> {
    const response = await fetch(`${this.controllers[0]!.url}/api/v1/verifications`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ repository, full: true }), signal: AbortSignal.timeout(60_000),
    });
    if (!response.ok) throw new Error(`verify ${repository}: ${response.status} ${await response.text()}`);
    const { replicas } = await response.json() as { replicas: { result: string }[] };
    return replicas.every(({ result }) => result === 'equal');
  }

  /** A node's own account of itself. Throws when it doesn't answer. */
  async status(node: Part): Promise<NodeStatus> {
    const response = await fetch(`${node.url}/status`, { headers: { authorization: `Bearer ${this.token}` }, signal: AbortSignal.timeout(5_000) });
    if (!response.ok) throw new Error(`${node.name}: ${response.status}`);
    return await response.json() as NodeStatus;
  }

  /** Whether every node serves and holds no promise, and every replica of every repository is current. Asked past all cuts. */
  async isSettled(): Promise<boolean> {
    try {
      const statuses = await Promise.all(this.nodes.map((node) => this.status(node)));
      if (!statuses.every((status) => status.ready && status.promises === 0)) return false;
      const lists = await Promise.all(this.controllers.map((controller) => this.repositories(controller)));
      return lists.flat().every((view) => view.replicas.every((replica) => (
        replica.state === 'current' && replica.generation === view.generation && replica.digest === view.digest)));
    } catch {
      return false;
    }
  }

  /** Waits until every part that is meant to run serves. */
  async untilReady(patienceMs: number): Promise<void> {
    let waiting: string[] = [];
    await until(async () => {
      const ready = await Promise.all(this.parts.map((part) => part.ready()));
      waiting = this.parts.filter((_, i) => !ready[i]).map((part) => part.name);
      return waiting.length === 0;
    }, patienceMs, () => `not ready: ${waiting.join(', ')}; logs are in ${this.logDirectory}`);
  }

  /** Waits until every controller sends work to every node: one that serves is known to, a heartbeat later. */
  async untilUsed(patienceMs: number): Promise<void> {
    for (const controller of this.controllers) {
      await until(async () => {
        const { items } = await (await fetch(`${controller.url}/api/v1/nodes`)).json() as { items: { state: string }[] };
        return items.filter(({ state }) => state === 'active').length === this.nodes.length;
      }, patienceMs, () => `${controller.name} does not use all nodes`);
    }
  }

  /** Starts a spare node, which then is one like the others. */
  join(): Part {
    const part = this.#spares.shift();
    if (part === undefined) throw new Error('there is no spare node');
    this.nodes.push(part);
    part.start();
    return part;
  }

  /** A node leaves: it is ended, and no longer one of those that have to serve. @returns its exit status */
  async leave(part: Part): Promise<number | null> {
    this.nodes.splice(this.nodes.indexOf(part), 1);
    return part.end();
  }

  /** Ends everything; the logs stay until `remove`. */
  async stop(): Promise<void> {
    this.network.healAll();
    for (const disk of this.disks.values()) await disk.thaw().catch(() => {});
    // Nodes first: controllers don't wait for one another, but a node's last question wants an answer.
    await Promise.all(this.nodes.map((part) => part.end().catch(() => part.kill())));
    await Promise.all(this.controllers.map((part) => part.end().catch(() => part.kill())));
    await this.database?.stop();
    await this.network.close();
    for (const disk of this.disks.values()) await disk.remove();
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  /** Copies the whole directory of a node, which must not run. */
  async copyDisk(node: string, to: string): Promise<void> {
    await cp(this.disk(node).path, to, { recursive: true, preserveTimestamps: true, filter: (path) => !path.endsWith('lost+found') });
  }

  async #prepare(): Promise<void> {
    const { nodes, controllers, spares = 0, replicationFactor = nodes, diskBytes, environment = {} } = this.#options;
    await mkdir(this.logDirectory);
    const firstPort = await freePorts(1 + controllers + nodes + spares);
    this.database = await startMariaDb(firstPort);
    const controllerNames = Array.from({ length: controllers }, (_, i) => `controller${i + 1}`);
    const controllerPort = (name: string) => firstPort + 1 + controllerNames.indexOf(name);
    const common = {
      ...process.env,
      NODE_ENV: 'test',
      NODE_COMPILE_CACHE: join(ROOT, 'node_modules', '.cache', 'compile'),
      MALLOC_ARENA_MAX: '1', MALLOC_TRIM_THRESHOLD_: '131072',
      TRIVET_STOP_DELAY_MS: '0', TRIVET_HOST: '127.0.0.1', TRIVET_TOKEN: this.token, ...environment,
    };
    const part = (name: string, kind: Part['kind'], port: number, own: NodeJS.ProcessEnv) => new Part({
      name, kind, port, log: join(this.logDirectory, `${name}.log`), environment: { ...common, ...own, TRIVET_PORT: String(port) },
      onDeath: (dead, how) => this.#options.onDeath?.(dead, how),
    });
    for (const name of controllerNames) {
      const store = new URL(this.database.url);
      store.port = String(await this.network.open(name, DATABASE, Number(store.port)));
      this.#clientPorts.set(name, await this.network.open(CLIENTS, name, controllerPort(name)));
      this.controllers.push(part(name, 'controller', controllerPort(name), {
        TRIVET_CONTROLLER_NAME: name, TRIVET_STORE: store.href, TRIVET_REPLICATION_FACTOR: String(replicationFactor),
      }));
    }
    for (let i = 0; i < nodes + spares; i++) {
      const name = `node${i + 1}`;
      const port = firstPort + 1 + controllers + i;
      const path = join(this.directory, name);
      const disk = diskBytes === undefined ? await Disk.plain(path) : await Disk.create(path, diskBytes);
      this.disks.set(name, disk);
      const urls = [];
      // Each node begins with another controller, so that all of them are asked.
      for (let j = 0; j < controllers; j++) {
        const controller = controllerNames[(i + j) % controllers]!;
        urls.push(`http://127.0.0.1:${await this.network.open(name, controller, controllerPort(controller))}`);
      }
      (i < nodes ? this.nodes : this.#spares).push(part(name, 'node', port, {
        TRIVET_NODE: name, TRIVET_DIRECTORY: disk.path, TRIVET_CONTROLLERS: urls.join(','),
        TRIVET_URL: `http://127.0.0.1:${await this.network.open(undefined, name, port)}`,
      }));
    }
  }

  #pids(): ReadonlyMap<string, number> {
    return new Map(this.parts.flatMap((part) => (part.pid === undefined ? [] : [[part.name, part.pid] as const])));
  }
}
