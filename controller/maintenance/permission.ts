import type { MaintenanceAnswer, MaintenanceRequest } from '@trivet/proto/messages.ts';
import type { Route } from '../store/rows.ts';

/** A node that says nothing for so long has lost its permission. */
const LEASE_MS = 30_000;

export interface PermissionParts {
  repositories: { routeById(id: string): Promise<Route | undefined> };
  leases: {
    take(repository: string, node: string, leaseMs: number): Promise<boolean>;
    release(repository: string, node: string): Promise<void>;
  };
  /** Whether a node can be read from and pushed to. */
  isUsable(node: string): boolean;
}

/**
 * Says whether a node may work on the files of a replica: one replica of a repository at a time, and only while every other
 * can answer its reads. What a node does is safe whatever is said here; this keeps it from being felt.
 */
export class MaintenancePermission {
  readonly #parts: PermissionParts;

  constructor(parts: PermissionParts) {
    this.#parts = parts;
  }

  async answer({ node, repository, kind, urgent }: MaintenanceRequest): Promise<MaintenanceAnswer> {
    const { repositories, leases, isUsable } = this.#parts;
    if (kind === 'end') {
      await leases.release(repository, node);
      return { granted: false, reason: 'ended' };
    }
    if (kind === 'begin') {
      const reason = obstacle(await repositories.routeById(repository), node, urgent, isUsable);
      if (reason !== undefined) return { granted: false, reason };
    }
    const taken = await leases.take(repository, node, LEASE_MS);
    return taken ? { granted: true, leaseMs: LEASE_MS } : { granted: false, reason: 'another replica is being maintained' };
  }
}

/** Why a replica can't be maintained now; undefined when nothing speaks against it. */
export function obstacle(route: Route | undefined, node: string, urgent: boolean, isUsable: (node: string) => boolean): string | undefined {
  const own = route?.replicas.find((replica) => replica.node === node);
  if (route === undefined || own === undefined) return 'the node holds no replica of this repository';
  if (own.state !== 'current') return 'the replica is not current';
  if (urgent) return undefined;
  if (route.replicas.length < route.repository.replicationFactor) return 'the repository has too few replicas';
  const missing = route.replicas.find((replica) => replica.state !== 'current' || !isUsable(replica.node));
  return missing === undefined ? undefined : `the replica on ${missing.node} could not stand in`;
}
