import type { KnownNode, NodeRegistry } from '../nodes/node-registry.ts';
import { RISKS, type RepositoriesAtRisk, type RepositoryAtRisk, type Risk } from '../store/at-risk.ts';
import type { RepairJobs } from '../store/jobs.ts';
import type { Repositories } from '../store/repositories.ts';
import type { RepairJob, Replica, ReplicaState } from '../store/rows.ts';
import { quorumOf } from '../transaction/quorum.ts';

/** One repository that isn't as safe as it is configured to be, since when, and what is being done. */
export interface AtRiskItem {
  repository: string;
  /** The name it had, of one in the trash. */
  trashedName: string | null;
  repositoryId: string;
  kind: Risk;
  configured: number;
  quorum: number;
  /** Current replicas on nodes that can be reached. */
  current: number;
  since: Date;
  replicas: { node: string; state: ReplicaState; reachable: boolean; generation: number; reason: string | null; changedAt: Date }[];
  jobs: RepairJob[];
}

export interface AtRiskAnswer {
  /** Of the kind asked for. */
  total: number;
  byKind: Record<Risk, number>;
  items: AtRiskItem[];
}

/** The one question about safety, answered alike to CLI, REST and metrics. */
export class AtRisk {
  readonly #store: RepositoriesAtRisk;
  readonly #repositories: Repositories;
  readonly #jobs: RepairJobs;
  readonly #nodes: NodeRegistry;

  constructor(store: RepositoriesAtRisk, repositories: Repositories, jobs: RepairJobs, nodes: NodeRegistry) {
    this.#store = store;
    this.#repositories = repositories;
    this.#jobs = jobs;
    this.#nodes = nodes;
  }

  /** How many repositories are at risk, by the worst that applies to each. */
  async count(): Promise<Record<Risk, number>> {
    return countByKind(await this.#all());
  }

  /** One page by name. @param input.after the last name of the page before */
  async list(input: { kind?: Risk; after?: string; limit: number }): Promise<AtRiskAnswer> {
    const all = await this.#all();
    const asked = all.filter((repository) => input.kind === undefined || repository.risk === input.kind);
    const page = asked.filter(({ name }) => input.after === undefined || name > input.after).slice(0, input.limit);
    return { total: asked.length, byKind: countByKind(all), items: await this.#describeAll(page) };
  }

  /** How many there are, and the worst of them. */
  async worst(limit: number): Promise<{ byKind: Record<Risk, number>; items: AtRiskItem[] }> {
    const all = await this.#all();
    const worst = RISKS.flatMap((risk) => all.filter((repository) => repository.risk === risk)).slice(0, limit);
    return { byKind: countByKind(all), items: await this.#describeAll(worst) };
  }

  #all(): Promise<RepositoryAtRisk[]> {
    return this.#store.list(this.#nodes.byUse.unusable);
  }

  async #describeAll(repositories: readonly RepositoryAtRisk[]): Promise<AtRiskItem[]> {
    const jobs = await this.#jobs.openOf(repositories.map(({ id }) => id));
    const items = await Promise.all(repositories.map((repository) => this.#describe(repository, jobs)));
    return items.filter((item) => item !== undefined);
  }

  async #describe(repository: RepositoryAtRisk, jobs: readonly RepairJob[]): Promise<AtRiskItem | undefined> {
    const route = await this.#repositories.routeById(repository.id);
    if (route === undefined) return undefined;
    const replicas = route.replicas.map((replica) => ({ replica, node: this.#nodes.get(replica.node), reachable: this.#nodes.usable(replica.node) !== undefined }));
    const quorum = quorumOf(repository.configured);
    const lostAt = replicas.filter(({ replica, reachable }) => replica.state !== 'current' || !reachable)
      .map(({ replica, node }) => lostSince(replica, node)).sort((a, b) => a.getTime() - b.getTime());
    return {
      repository: repository.name,
      trashedName: repository.trashedName,
      repositoryId: repository.id,
      kind: repository.risk,
      configured: repository.configured,
      quorum,
      current: repository.current,
      since: lostAt[lossesUntil(repository.risk, repository.configured, quorum) - 1] ?? lostAt.at(-1) ?? route.repository.createdAt,
      replicas: replicas.map(({ replica, reachable }) => ({
        node: replica.node, state: replica.state, reachable, generation: replica.generation, reason: replica.reason, changedAt: replica.changedAt,
      })),
      jobs: jobs.filter((job) => job.repository === repository.id),
    };
  }
}

function countByKind(all: readonly RepositoryAtRisk[]): Record<Risk, number> {
  const counts = Object.fromEntries(RISKS.map((risk) => [risk, 0])) as Record<Risk, number>;
  for (const { risk } of all) counts[risk] += 1;
  return counts;
}

/** How many replicas had to be lost for this to begin. */
function lossesUntil(risk: Risk, configured: number, quorum: number): number {
  switch (risk) {
    case 'under_replicated': return 1;
    case 'no_quorum': return configured - quorum + 1;
    case 'unavailable': return configured;
  }
}

function lostSince(replica: Replica, node: KnownNode | undefined): Date {
  return replica.state !== 'current' || node === undefined ? replica.changedAt : node.healthChangedAt;
}
