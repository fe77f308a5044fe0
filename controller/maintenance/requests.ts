import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import type { Route } from '../store/rows.ts';

/** What a node said when it was asked to maintain its replica. */
export interface AskedReplica {
  node: string;
  asked: boolean;
  /** Why not. */
  code: string | null;
}

/** Maintenance that an operator asks for. Each node does it as soon as it has permission: one after another. */
export class MaintenanceRequests {
  readonly #repositories: { route(name: string): Promise<Route | undefined> };
  readonly #nodes: { usable(id: string): { client: Pick<NodeClient, 'maintain'> } | undefined };

  constructor(
    repositories: { route(name: string): Promise<Route | undefined> },
    nodes: { usable(id: string): { client: Pick<NodeClient, 'maintain'> } | undefined },
  ) {
    this.#repositories = repositories;
    this.#nodes = nodes;
  }

  /**
   * @param node only the replica on this one
   * @throws TrivetError repository_not_found; bad_request when the node holds no replica
   */
  async request(name: string, node: string | undefined): Promise<AskedReplica[]> {
    const route = await this.#repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    const asked = route.replicas.filter((replica) => node === undefined || replica.node === node);
    if (asked.length === 0) throw new TrivetError('bad_request', { problem: 'the node holds no replica of this repository', node });
    return Promise.all(asked.map((replica) => this.#ask(route.repository.id, replica.node)));
  }

  async #ask(repository: string, node: string): Promise<AskedReplica> {
    try {
      const known = this.#nodes.usable(node);
      if (known === undefined) throw new TrivetError('node_unreachable', { node });
      await known.client.maintain(repository);
      return { node, asked: true, code: null };
    } catch (error) {
      return { node, asked: false, code: asTrivetError(error).code };
    }
  }
}
