import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { freePorts, PATIENCE_MS, until, WorkTree, type RepositoryView } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { attempt, run, type Result } from './commands.ts';
import type { Engine } from './engine.ts';
import { STAND_INS } from './images.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const PROJECT = 'trivet-test';
/** Everything but Grafana, of which there is no server to be had in Debian. */
export const SERVICES = ['mysql', 'controller1', 'controller2', 'node1', 'node2', 'node3', 'balancer', 'prometheus'] as const;
export type Service = typeof SERVICES[number];

/** The stack of docker-compose.yml on an engine of the test's own, with secrets of its own. */
export class Stack {
  readonly url: string;
  readonly secrets: string;
  readonly directory: string;
  /** What docker and docker-compose are started with. */
  readonly environment: NodeJS.ProcessEnv;

  private constructor(engine: Engine, directory: string, port: number) {
    this.directory = directory;
    this.secrets = join(directory, 'secrets');
    this.url = `http://127.0.0.1:${port}`;
    this.environment = { ...engine.environment, ...STAND_INS, TRIVET_SECRETS: this.secrets, TRIVET_HTTP_PORT: String(port), TRIVET_GRAFANA_IMAGE: STAND_INS.TRIVET_PROMETHEUS_IMAGE };
  }

  static async make(engine: Engine, parent: string): Promise<Stack> {
    const directory = await mkdtemp(join(parent, 'stack-'));
    const stack = new Stack(engine, directory, await freePorts(1));
    await run(join(ROOT, 'deploy/make-secrets.sh'), [stack.secrets]);
    return stack;
  }

  /** Runs docker-compose on the stack. */
  compose(...args: string[]): Promise<string> {
    return run('docker-compose', this.#composeArguments(args), { cwd: ROOT, environment: this.environment });
  }

  /** The same with settings of its own, whatever comes of it; `undefined` takes a setting away. */
  tryCompose(environment: NodeJS.ProcessEnv, ...args: string[]): Promise<Result> {
    return attempt('docker-compose', this.#composeArguments(args), { cwd: ROOT, environment: { ...this.environment, ...environment } });
  }

  docker(...args: string[]): Promise<string> {
    return run('docker', args, { environment: this.environment });
  }

  tryDocker(...args: string[]): Promise<Result> {
    return attempt('docker', args, { environment: this.environment });
  }

  container(service: Service): string {
    return `${PROJECT}_${service}_1`;
  }

  async create(repository: string): Promise<void> {
    const response = await fetch(`${this.url}/api/repos/${repository}`, { method: 'POST', signal: AbortSignal.timeout(30_000) });
    if (response.status !== 201) throw new Error(`create ${repository}: ${response.status} ${await response.text()}`);
  }

  async show(repository: string): Promise<RepositoryView> {
    const response = await fetch(`${this.url}/api/repos/${repository}`, { signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`show ${repository}: ${response.status} ${await response.text()}`);
    return await response.json() as RepositoryView;
  }

  /** What is at risk; nothing while no controller can say. */
  async atRisk(): Promise<{ repository: string; kind: string }[]> {
    const response = await fetch(`${this.url}/api/v1/at-risk`, { signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
    return response?.ok === true ? (await response.json() as { items: { repository: string; kind: string }[] }).items : [];
  }

  /** Waits until every replica is current. */
  async converged(repository: string): Promise<RepositoryView> {
    let view = await this.show(repository);
    await until(async () => {
      view = await this.show(repository);
      return view.replicas.every((replica) => replica.state === 'current' && replica.digest === view.digest);
    }, PATIENCE_MS, () => `replicas did not converge: ${JSON.stringify(view.replicas)}`);
    return view;
  }

  gitUrl(repository: string): string {
    return `${this.url}/git/${repository}.git`;
  }

  async workTree(): Promise<WorkTree> {
    const path = await mkdtemp(join(this.directory, 'work-'));
    const tree = new WorkTree(path);
    await tree.git('init', '-q', '-b', 'main', path);
    return tree;
  }

  /** Clones and gives the id of the branch that is checked out. */
  async cloned(repository: string): Promise<string> {
    const path = await mkdtemp(join(this.directory, 'clone-'));
    const result = await runGit(path, ['clone', '-q', this.gitUrl(repository), '.']);
    if (result.code !== 0) throw new Error(result.stderr);
    return (await runGit(path, ['rev-parse', 'HEAD'])).stdout.trim();
  }

  async secret(name: string): Promise<string> {
    return readFile(join(this.secrets, name), 'utf8');
  }

  /** The end of what every service logged. */
  async logs(): Promise<string> {
    const { stdout, stderr } = await this.tryCompose({}, 'logs', '--no-color', '--tail', '30');
    return stdout + stderr;
  }

  async remove(): Promise<void> {
    await this.compose('down', '--volumes', '--timeout', '10');
    await this.removeFiles();
  }

  async removeFiles(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true, maxRetries: 3 });
  }

  #composeArguments(args: readonly string[]): string[] {
    return ['--project-name', PROJECT, '--file', join(ROOT, 'docker-compose.yml'), ...args];
  }
}
