import { expectEqualReplicas, expectNothingLeft, PATIENCE_MS, until, type Cluster, type WorkTree } from '../cluster.ts';
import { runGit, type GitResult } from '../run-git.ts';

/** A repository with one acknowledged push, and a clone from which more can be pushed. */
export class PushedRepository {
  readonly cluster: Cluster;
  readonly name: string;
  readonly work: WorkTree;
  /** The commit ids whose push to `main` git called a success, in order. */
  readonly acknowledged: string[] = [];
  #commits = 0;

  private constructor(cluster: Cluster, name: string, work: WorkTree) {
    this.cluster = cluster;
    this.name = name;
    this.work = work;
  }

  static async create(cluster: Cluster, name: string, body: object = {}): Promise<PushedRepository> {
    await cluster.create(name, body);
    const work = await cluster.workTree(name);
    await work.git('remote', 'add', 'origin', cluster.gitUrl(name));
    const repository = new PushedRepository(cluster, name, work);
    await repository.mustPush();
    return repository;
  }

  /** The commit that the next push would bring. */
  commit(): Promise<string> {
    return this.work.commit(`commit ${++this.#commits}`);
  }

  /** Commits and pushes to `main`. */
  async push(): Promise<GitResult & { tip: string }> {
    const tip = await this.commit();
    return { ...await this.pushAgain(), tip };
  }

  /** Pushes what is committed already. */
  async pushAgain(): Promise<GitResult> {
    const result = await this.work.tryGit('push', 'origin', 'main');
    if (result.code === 0) this.acknowledged.push(await this.work.git('rev-parse', 'main'));
    return result;
  }

  /** Fails the test when the push does. @returns the new tip */
  async mustPush(): Promise<string> {
    const { tip, code, stderr } = await this.push();
    if (code !== 0) throw new Error(`a push to ${this.name} failed: ${stderr}`);
    return tip;
  }

  /** What a client sees `main` at. */
  async remoteTip(): Promise<string | undefined> {
    const listing = await runGit(this.work.path, ['ls-remote', this.cluster.gitUrl(this.name), 'refs/heads/main']);
    if (listing.code !== 0) throw new Error(`ls-remote ${this.name}: ${listing.stderr}`);
    return listing.stdout.split('\t')[0] || undefined;
  }

  /** Fails unless every replica is equal, sound, at `tip` (the last acknowledged push), and nothing is left behind. */
  async expectSettledAt(tip: string | undefined = this.acknowledged.at(-1)): Promise<void> {
    // A replica counts as current from the decision on; until its node has learned of that, the disk is a step behind.
    await expectNothingLeft(this.cluster);
    const refs = await expectEqualReplicas(this.cluster, this.name);
    if (refs.get('refs/heads/main') !== tip) throw new Error(`main is at ${refs.get('refs/heads/main')}, not at ${tip}`);
    if (await this.remoteTip() !== tip) throw new Error(`clients do not see main at ${tip}`);
    await expectNothingLeft(this.cluster);
  }
}

/** The sum of a metric's samples whose labels include all of `labels`. */
export async function sample(cluster: Cluster, part: string, metric: string, labels: Record<string, string> = {}): Promise<number> {
  let sum = 0;
  for (const line of (await cluster.metrics(part)).split('\n')) {
    const match = /^(\w+)(?:\{(.*)\})? (\S+)$/.exec(line);
    if (match?.[1] !== metric) continue;
    const has = (match[2] ?? '').split(',');
    if (Object.entries(labels).every(([label, value]) => has.includes(`${label}="${value}"`))) sum += Number(match[3]);
  }
  return sum;
}

/** Waits until the controller takes a node for healthy, or for unhealthy. */
export async function untilHealthy(cluster: Cluster, node: string, healthy: boolean): Promise<void> {
  await until(async () => await sample(cluster, 'controller', 'trivet_node_healthy', { node }) === (healthy ? 1 : 0), PATIENCE_MS,
    () => `${node} is still ${healthy ? 'unhealthy' : 'healthy'} for the controller`);
}

/** Waits until a replica is recorded as being in one of these states. @returns the state it was in */
export async function untilReplica(cluster: Cluster, repository: string, node: string, states: readonly string[]): Promise<string> {
  let state = '';
  await until(async () => {
    state = (await cluster.show(repository)).replicas.find((replica) => replica.node === node)!.state;
    return states.includes(state);
  }, PATIENCE_MS, () => `the replica on ${node} is ${state}, not ${states.join(' or ')}`);
  return state;
}

/** Waits until a part has passed an armed failpoint. */
export async function untilStruck(cluster: Cluster, part: string, failpoint: string): Promise<void> {
  await until(() => cluster.struck(part, failpoint), PATIENCE_MS, () => `${part} never came to ${failpoint}`);
}
