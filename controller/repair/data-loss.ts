import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { DataLosses } from '../store/data-losses.ts';
import { HEARD_WITHIN_MS, type Nodes } from '../store/nodes.ts';
import type { Repositories } from '../store/repositories.ts';
import type { DataLossRecord, Replica, Route } from '../store/rows.ts';

export interface DataLossRequest {
  /** A repository's name. */
  repository: string;
  /** The node whose replica shall be the truth. */
  source: string;
  acceptedBy: string;
  reason: string;
  /** Only says what would be done. */
  dryRun: boolean;
}

export interface DataLossPlan {
  /** Null for a plan. */
  id: string | null;
  repository: string;
  repositoryId: string;
  source: string;
  acceptedBy: string;
  reason: string;
  dryRun: boolean;
  before: { generation: number; digest: string };
  after: { generation: number; digest: string };
  /** Acknowledged generations that the source doesn't have. */
  lost: { generations: number };
  replicas: { node: string; generation: number; digest: string; becomes: 'current' | 'diverged' }[];
  acceptedAt: Date | null;
}

/**
 * The last resort, for a repository of which no replica has the newest acknowledged state any more: an operator names
 * the replica that shall be the truth, and so gives up every push that it doesn't have.
 *
 * The generation rises above all that were ever known. A replica that comes back with what was given up is then behind,
 * and never taken for equal.
 */
export class DataLoss {
  readonly #losses: DataLosses;
  readonly #repositories: Repositories;
  readonly #nodes: NodeRegistry;
  readonly #heard: Pick<Nodes, 'heardLately'>;
  readonly #onAccepted: (record: DataLossRecord) => void;

  constructor(input: { losses: DataLosses; repositories: Repositories; nodes: NodeRegistry; heard: Pick<Nodes, 'heardLately'>; onAccepted(record: DataLossRecord): void }) {
    this.#losses = input.losses;
    this.#repositories = input.repositories;
    this.#nodes = input.nodes;
    this.#heard = input.heard;
    this.#onAccepted = input.onAccepted;
  }

  /**
   * @throws TrivetError repository_not_found; source_unsuitable when the source can't be read or a replica that can be
   *   reached has the newest state; node_unreachable; replica_busy while the source holds a promise
   */
  async accept(request: DataLossRequest): Promise<DataLossPlan> {
    const route = await this.#repositories.route(request.repository);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: request.repository });
    const { repository, replicas } = route;
    await this.#refuseNeedless(route);
    if (!replicas.some((replica) => replica.node === request.source)) {
      throw new TrivetError('source_unsuitable', { source: request.source, problem: 'holds no replica of this repository', replicas: replicas.map(({ node }) => node) });
    }
    const node = this.#nodes.usable(request.source);
    if (node === undefined) throw new TrivetError('node_unreachable', { node: request.source });
    const held = await node.client.verify(repository.id, false);
    if (held.diskDigest !== held.digest) {
      throw new TrivetError('source_unsuitable', { source: request.source, problem: 'its disk has other refs than it serves; verify and repair it first', disk: held.diskDigest });
    }
    const { head } = await node.client.refs(repository.id);
    // Above everything that is on record or was found: nothing that comes back later can be as new.
    const known = [repository.generation, held.generation, ...replicas.map((replica) => replica.generation)];
    const before = { generation: repository.generation, digest: repository.digest };
    const after = { generation: Math.max(...known) + 1, digest: held.digest };
    const plan: DataLossPlan = {
      id: null, repository: repository.name, repositoryId: repository.id, source: request.source, acceptedBy: request.acceptedBy,
      reason: request.reason, dryRun: request.dryRun, before, after,
      lost: { generations: Math.max(0, repository.generation - held.generation) },
      replicas: replicas.map((replica) => become(replica, request.source)),
      acceptedAt: null,
    };
    if (request.dryRun) return plan;
    // First the node: after a crash in between it is ahead of SQL, out of service, and this can be done once more.
    await node.client.adopt(repository.id, after);
    const record = await this.#losses.accept({
      repository: repository.id, repositoryName: repository.name, source: request.source, acceptedBy: request.acceptedBy,
      reason: request.reason, before, sourceGeneration: held.generation, after: { ...after, head },
    });
    if (record === undefined) throw new TrivetError('aborted', { repository: repository.name, reason: 'the repository has moved on meanwhile' });
    this.#onAccepted(record);
    return { ...plan, id: record.id, acceptedAt: record.acceptedAt };
  }

  /**
   * Looks beyond what this controller sees: another one may hear of nodes that this one is cut off from, and a replica that
   * isn't current may have the newest state on its disk all the same.
   */
  async #refuseNeedless({ repository, replicas }: Route): Promise<void> {
    const current = replicas.filter((replica) => replica.state === 'current').map((replica) => replica.node);
    const here = current.filter((node) => this.#nodes.usable(node) !== undefined);
    const elsewhere = await this.#heard.heardLately(current, HEARD_WITHIN_MS);
    const others = replicas.filter((replica) => replica.state !== 'current').map((replica) => replica.node);
    const newest = (await Promise.all(others.map(async (node) => (await this.#hasNewest(node, repository) ? [node] : [])))).flat();
    const found = [...new Set([...here, ...elsewhere, ...newest])];
    if (found.length > 0) {
      throw new TrivetError('source_unsuitable', {
        repository: repository.name, problem: 'a replica that lives has the newest state: repair from it', newest: found,
      });
    }
  }

  async #hasNewest(node: string, { id, generation, digest }: Route['repository']): Promise<boolean> {
    const held = await this.#nodes.usable(node)?.client.verify(id, false).catch(() => undefined);
    // Damaged objects are no reason to wait for it: whether they can be healed, its job has found out.
    return held !== undefined && held.generation === generation && held.digest === digest && held.diskDigest === digest && held.problems.length === 0;
  }
}

function become({ node, generation, digest }: Replica, source: string): DataLossPlan['replicas'][number] {
  return { node, generation, digest, becomes: node === source ? 'current' : 'diverged' };
}
