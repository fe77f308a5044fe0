import type { Policy } from '@trivet/proto/messages.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';

// What the store gives out. Nobody outside this folder sees a column name.

export const REPLICA_STATES = ['current', 'outdated', 'diverged', 'corrupt', 'repairing', 'missing'] as const;
export type ReplicaState = typeof REPLICA_STATES[number];
/** The states that call for a repair and say why. */
export type LostState = Exclude<ReplicaState, 'current' | 'repairing'>;

export const JOB_REASONS = ['outdated', 'diverged', 'missing', 'corrupt', 'new_replica', 'move'] as const;
export type JobReason = typeof JOB_REASONS[number];
export const JOB_STATES = ['waiting', 'running', 'done', 'cancelled'] as const;
export type JobState = typeof JOB_STATES[number];
/** `verify`: nothing to bring over; the rest as in RepairRequest. */
export type JobWay = 'verify' | 'fetch' | 'heal' | 'rebuild';
export const FINDING_KINDS = ['outdated', 'diverged', 'corrupt', 'missing', 'unknown'] as const;
export type FindingKind = typeof FINDING_KINDS[number];

/**
 * What an operator wants of a node: to be used; to lose its replicas to others; not to be read from, for a restart; to be
 * gone. Whether it is cordoned, as one that isn't well is, its health says.
 */
export const NODE_STATES = ['active', 'draining', 'quiesced', 'removed'] as const;
export type NodeState = typeof NODE_STATES[number];
export type Outcome = 'commit' | 'abort';

/** `importing`: being filled from elsewhere; `trashed`: to be restored or purged. Nobody reads or pushes meanwhile. */
export const REPOSITORY_STATES = ['ready', 'importing', 'trashed'] as const;
export type RepositoryState = typeof REPOSITORY_STATES[number];

export interface Repository {
  id: string;
  /** In the trash `.trash/<id>`, which nobody can give. */
  name: string;
  state: RepositoryState;
  objectFormat: ObjectFormat;
  /** The full ref that HEAD points at. */
  defaultBranch: string;
  /** How many replicas the repository is configured to have; a quorum is a majority of it. */
  replicationFactor: number;
  /** What that shall become; null when it is what it shall be. */
  intendedFactor: number | null;
  generation: number;
  /** The refs digest at `generation`. */
  digest: string;
  policy: Policy;
  createdAt: Date;
  /** The name it had and when it lost it; null when it isn't in the trash. */
  trashed: { name: string; at: Date } | null;
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
  /** When `state` last changed. */
  changedAt: Date;
  /** When its refs were last compared with SQL, and all its objects last checked. */
  verifiedAt: Date | null;
  checkedAt: Date | null;
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
  repositoryName: string;
  /** The node whose replica is repaired. */
  node: string;
  reason: JobReason;
  detail: string;
  state: JobState;
  /** How many claims there were. */
  attempt: number;
  /** The number of the claim. A statement that names an older one does nothing. */
  fence: number;
  holder: string | null;
  leaseUntil: Date | null;
  nextAttemptAt: Date;
  /** The node it takes from. */
  source: string | null;
  way: JobWay | null;
  /** Rounds begun. */
  round: number;
  /** What the rounds have brought so far; a total is null while nobody knows it. */
  objects: number;
  totalObjects: number | null;
  bytes: number;
  totalBytes: number | null;
  /** The code of the last failure, and what it said of itself. */
  lastError: string | null;
  createdAt: Date;
  startedAt: Date | null;
  finishedAt: Date | null;
}

/** What verification found on a node's disk. */
export interface Finding {
  id: string;
  node: string;
  repository: string;
  /** Null for a repository that SQL doesn't know. */
  repositoryName: string | null;
  kind: FindingKind;
  detail: string;
  foundAt: Date;
  resolvedAt: Date | null;
}

/** A decision about one transaction. */
export interface Decision {
  id: string;
  batch: string;
  repository: string;
  /** Null when the repository is gone. */
  repositoryName: string | null;
  outcome: Outcome;
  /** The one its batch ended in; null for abort. */
  generation: number | null;
  decidedBy: string;
  decidedAt: Date;
}

/** Acknowledged pushes that an operator gave up. */
export interface DataLossRecord {
  id: string;
  repository: string;
  repositoryName: string;
  /** The node whose replica became the truth. */
  source: string;
  acceptedBy: string;
  reason: string;
  before: { generation: number; digest: string };
  /** The generation the source had. */
  sourceGeneration: number;
  after: { generation: number; digest: string };
  acceptedAt: Date;
}

export interface OutboxEvent {
  sequence: number;
  repository: string;
  kind: string;
  payload: object;
  createdAt: Date;
}

export const IMPORT_STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;
export type ImportState = typeof IMPORT_STATES[number];
/** `fetching`: a node takes it in from outside; `pushing`: it goes to the replicas. */
export type ImportPhase = 'fetching' | 'pushing';

/** A repository that is filled from elsewhere. */
export interface Import {
  id: string;
  repository: string;
  /** Its name when it began. */
  repositoryName: string;
  /** A URL, or `node:/directory`. */
  source: string;
  state: ImportState;
  phase: ImportPhase | null;
  /** The node that fetches. */
  node: string | null;
  objects: number;
  totalObjects: number | null;
  bytes: number;
  attempt: number;
  fence: number;
  holder: string | null;
  /** The code of what went wrong last, and what it said of itself. */
  lastError: string | null;
  createdAt: Date;
  finishedAt: Date | null;
}
