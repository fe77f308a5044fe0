import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { DataLosses } from '../store/data-losses.ts';
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
  readonly #onAccepted: (record: DataLossRecord) => void;

  constructor(input: { losses: DataLosses; repositories: Repositories; nodes: NodeRegistry; onAccepted(record: DataLossRecord): void }) {
    this.#losses = input.losses;
    this.#repositories = input.repositories;
    this.#nodes = input.nodes;
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
    this.#refuseNeedless(route);
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

  #refuseNeedless({ repository, replicas }: Route): void {
    const newest = replicas.filter((replica) => replica.state === 'current' && this.#nodes.usable(replica.node) !== undefined);
    if (newest.length > 0) {
      throw new TrivetError('source_unsuitable', {
        repository: repository.name, problem: 'a replica has the newest state and can be reached: repair from it', current: newest.map(({ node }) => node),
      });
    }
  }
}

function become({ node, generation, digest }: Replica, source: string): DataLossPlan['replicas'][number] {
  return { node, generation, digest, becomes: node === source ? 'current' : 'diverged' };
}
