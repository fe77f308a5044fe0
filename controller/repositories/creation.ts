import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import { newId } from '@trivet/proto/id.ts';
import type { Policy } from '@trivet/proto/messages.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { headValue, RefsDigest } from '@trivet/proto/refs-digest.ts';
import { freeShare } from '../nodes/free-share.ts';
import type { KnownNode, NodeRegistry } from '../nodes/node-registry.ts';
import { chooseNodes, type PlacementNode } from '../placement/choose.ts';
import type { NewImport } from '../store/imports.ts';
import type { Repositories } from '../store/repositories.ts';
import type { Route } from '../store/rows.ts';
import { quorumOf } from '../transaction/quorum.ts';

export interface NewRepository {
  name: string;
  /** The full ref HEAD points at. */
  defaultBranch: string;
  objectFormat: ObjectFormat;
  replicationFactor: number;
  policy: Policy;
  /** What shall fill it before anybody else may use it. */
  import?: NewImport;
}

/**
 * Creates repositories. The row in SQL is what makes one exist: a crash before it leaves empty directories on nodes that
 * nothing points at, which the listing of the nodes' directories finds and takes away; a crash after it leaves replicas
 * that reconcile knows to be missing.
 */
export class Creation {
  readonly #repositories: Repositories;
  readonly #nodes: NodeRegistry;
  readonly #failpoint: Failpoint;

  constructor(repositories: Repositories, nodes: NodeRegistry, failpoint: Failpoint) {
    this.#repositories = repositories;
    this.#nodes = nodes;
    this.#failpoint = failpoint;
  }

  /** @throws TrivetError repository_exists; not_enough_nodes when there are too few nodes, or too few of them answer */
  async create(input: NewRepository): Promise<Route> {
    if (await this.#repositories.route(input.name) !== undefined) throw new TrivetError('repository_exists', { name: input.name, existing: input.name });
    const chosen = this.#choose(input.replicationFactor);
    const id = newId();
    const created = await Promise.allSettled(chosen.map((node) => (
      node.client.createReplica(id, { objectFormat: input.objectFormat, head: input.defaultBranch }))));
    await this.#failpoint('create-made');
    const missing = chosen.filter((_, i) => created[i]!.status === 'rejected');
    if (chosen.length - missing.length < quorumOf(input.replicationFactor)) {
      this.#removeReplicas(id, chosen);
      const reasons = created.flatMap((result, i) => (result.status === 'rejected' ? [[chosen[i]!.id, asTrivetError(result.reason).code]] : []));
      throw new TrivetError('not_enough_nodes', { needed: quorumOf(input.replicationFactor), failed: Object.fromEntries(reasons) });
    }
    await this.#record(id, input, chosen, missing);
    await this.#failpoint('create-recorded');
    const route = await this.#repositories.routeById(id);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: input.name });
    return route;
  }

  /** From the first word to SQL on, nothing is removed that SQL may have recorded after all. */
  async #record(id: string, input: NewRepository, chosen: readonly KnownNode[], missing: readonly KnownNode[]): Promise<void> {
    const digest = new RefsDigest().toggle('HEAD', headValue(input.defaultBranch)).hex;
    const ids = (nodes: readonly KnownNode[]) => nodes.map((node) => node.id);
    try {
      await this.#repositories.create({ id, ...input, digest, nodes: ids(chosen), missing: ids(missing) });
    } catch (error) {
      if (!(error instanceof TrivetError && error.code === 'outcome_unknown')) this.#removeReplicas(id, chosen);
      throw error;
    }
  }

  /** As placement would choose; nodes that can't be used at the moment only where there is no choice. */
  #choose(count: number): KnownNode[] {
    const candidates = this.#nodes.all.filter((node) => node.state === 'active');
    if (candidates.length < count) throw new TrivetError('not_enough_nodes', { needed: count, nodes: candidates.length });
    return chooseNodes(candidates.map(describe), count, [], Math.random).map((id) => this.#nodes.get(id)!);
  }

  /** At once, for what is known to be nobody's; what fails is found by the listing. */
  #removeReplicas(id: string, nodes: readonly KnownNode[]): void {
    for (const node of nodes) void node.client.removeReplica(id, { ifEmpty: true }).catch(() => {});
  }
}

function describe({ id, zone, healthy, status }: KnownNode): PlacementNode {
  const free = status === undefined ? 0 : freeShare(status);
  return { id, zone, usable: healthy && status?.writable !== false, free, load: status?.loadAverage ?? 0 };
}
