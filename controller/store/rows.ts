import type { Policy } from '@trivet/proto/messages.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';

// What the store gives out. Nobody outside this folder sees a column name.

export type ReplicaState = 'current' | 'outdated' | 'diverged' | 'repairing' | 'missing';
export const REPLICA_STATES: readonly ReplicaState[] = ['current', 'outdated', 'diverged', 'repairing', 'missing'];

export type NodeState = 'active' | 'cordoned';
export type Outcome = 'commit' | 'abort';

export interface Repository {
  id: string;
  name: string;
  objectFormat: ObjectFormat;
  /** The full ref that HEAD points at. */
  defaultBranch: string;
  /** How many replicas the repository is configured to have; a quorum is a majority of it. */
  replicationFactor: number;
  generation: number;
  /** The refs digest at `generation`. */
  digest: string;
  policy: Policy;
  createdAt: Date;
}

export interface Replica {
  node: string;
  /** Base URL of the node. */
  url: string;
  nodeState: NodeState;
  state: ReplicaState;
  generation: number;
  digest: string;
  /** Why it isn't current. */
  reason: string | null;
}

/** A repository with all its replicas, in the order of their nodes' ids. */
export interface Route {
  repository: Repository;
  replicas: Replica[];
}

export interface Node {
  id: string;
  url: string;
  /** Drawn anew at every start of the node. */
  boot: string;
  state: NodeState;
  seenAt: Date;
}

export interface RepairJob {
  id: string;
  repository: string;
  node: string;
  reason: string;
  state: 'waiting' | 'running';
  /** How many claims there were. */
  attempt: number;
  /** The number of the claim. A statement that names an older one does nothing. */
  fence: number;
  holder: string | null;
  leaseUntil: Date | null;
  nextAttemptAt: Date;
  lastError: string | null;
  createdAt: Date;
}

export interface OutboxEvent {
  sequence: number;
  repository: string;
  kind: string;
  payload: object;
  createdAt: Date;
}
