import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Replicas } from '../store/replicas.ts';
import type { Repositories } from '../store/repositories.ts';
import type { RepairJob, Route } from '../store/rows.ts';
import type { Turns } from '../transaction/turns.ts';

/**
 * Brings one replica back: objects first, while pushes go on, then objects and refs once more inside the repository's
 * turn, when nothing can move. It is admitted only by SQL, and only if what it has then is what SQL holds.
 */
export class Repair {
  readonly #nodes: NodeRegistry;
  readonly #repositories: Repositories;
  readonly #replicas: Replicas;
  readonly #turns: Turns<never>;

  constructor(nodes: NodeRegistry, repositories: Repositories, replicas: Replicas, turns: Turns<never>) {
    this.#nodes = nodes;
    this.#repositories = repositories;
    this.#replicas = replicas;
    this.#turns = turns;
  }

  /** @throws TrivetError repair_failed, node_unreachable, no_current_replica and what the node said */
  async run(job: RepairJob, signal: AbortSignal): Promise<void> {
    await this.#round(job, 'objects', signal);
    await this.#turns.exclusively(job.repository, async () => {
      const { route, position } = await this.#round(job, 'refs', signal);
      const { generation, digest } = route.repository;
      const equal = position.generation === generation && position.digest === digest;
      if (!equal || !await this.#replicas.admit({ repository: job.repository, node: job.node, ...position })) {
        throw new TrivetError('repair_failed', { node: job.node, expected: { generation, digest }, got: position });
      }
    });
  }

  async #round(job: RepairJob, round: 'objects' | 'refs', signal: AbortSignal) {
    const route = await this.#repositories.routeById(job.repository);
    if (route === undefined) throw new TrivetError('repository_not_found', { id: job.repository });
    const target = this.#nodes.usable(job.node);
    if (target === undefined) throw new TrivetError('node_unreachable', { node: job.node });
    const source = this.#source(route, job.node);
    const position = await target.client.repair(job.repository, { source, objectFormat: route.repository.objectFormat, round, job: job.id, way: 'fetch' }, signal);
    return { route, position };
  }

  #source(route: Route, target: string): string {
    const source = route.replicas.find((replica) => (
      replica.state === 'current' && replica.node !== target && this.#nodes.usable(replica.node) !== undefined));
    if (source === undefined) throw new TrivetError('no_current_replica', { repository: route.repository.name });
    return source.url;
  }
}
