import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import { OK } from '@trivet/proto/vote.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Repositories } from '../store/repositories.ts';
import type { RepositoryChange, RepositoryChanges } from '../store/repository-changes.ts';
import type { Route } from '../store/rows.ts';
import type { Coordinator } from '../transaction/coordinator.ts';

/** Nobody leaves: a change that was asked for is carried out. */
const NEVER = new AbortController().signal;

/** Changes what a repository is. Its name, policy and replication factor are SQL's alone; what HEAD points at is every replica's. */
export class Changes {
  readonly #changes: RepositoryChanges;
  readonly #repositories: Repositories;
  readonly #nodes: NodeRegistry;
  readonly #coordinator: Coordinator;
  readonly #failpoint: Failpoint;

  constructor(input: { changes: RepositoryChanges; repositories: Repositories; nodes: NodeRegistry; coordinator: Coordinator; failpoint: Failpoint }) {
    this.#changes = input.changes;
    this.#repositories = input.repositories;
    this.#nodes = input.nodes;
    this.#coordinator = input.coordinator;
    this.#failpoint = input.failpoint;
  }

  /**
   * All of it or nothing.
   * @returns what it is now
   * @throws TrivetError repository_not_found, repository_exists, not_enough_nodes
   */
  async apply(name: string, change: RepositoryChange): Promise<Route> {
    const { id } = (await this.#route(name)).repository;
    const { replicationFactor: needed } = change;
    const nodes = this.#nodes.all.filter((node) => node.state === 'active').length;
    if (needed !== undefined && needed > nodes) throw new TrivetError('not_enough_nodes', { needed, nodes });
    await this.#failpoint('change-begin');
    if (!await this.#changes.apply(name, change)) throw new TrivetError('repository_not_found', { repository: name });
    await this.#failpoint('change-end');
    return this.#byId(id, name);
  }

  /**
   * Makes HEAD point at another branch, by a transaction as a push's: HEAD is a part of the refs digest, so every replica
   * promises and commits it.
   * @param branch a full ref
   * @throws TrivetError repository_not_found, repository_importing, branch_not_found, and what a push throws
   */
  async defaultBranch(name: string, branch: string): Promise<Route> {
    const route = await this.#route(name);
    if (route.repository.state === 'importing') throw new TrivetError('repository_importing', { repository: name });
    const change = { commands: [], capabilities: new Set<string>(), shallow: [], pushOptions: [], defaultBranch: branch };
    const { verdicts } = await this.#coordinator.push(route, change, nothing(), NEVER);
    if (verdicts[0] !== OK) throw new TrivetError('branch_not_found', { repository: name, branch, verdict: verdicts[0] });
    return this.#byId(route.repository.id, name);
  }

  async #route(name: string): Promise<Route> {
    const route = await this.#repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return route;
  }

  async #byId(id: string, name: string): Promise<Route> {
    const route = await this.#repositories.routeById(id);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return route;
  }
}

async function* nothing(): AsyncGenerator<Buffer> {}
