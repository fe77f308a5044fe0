import type { RepairJob } from '../../../controller/store/rows.ts';
import type { JournalRecord } from '../../../replica/participant/journal.ts';
import type { PushDone, ReadDone } from '../history.ts';
import type { Simulation } from '../simulation.ts';

export interface RepositoryRow {
  id: string;
  generation: number;
  refs_digest: string;
  replication_factor: number;
}

export interface ReplicaRow {
  repository_id: string;
  node_id: string;
  state: string;
  generation: number;
  digest: string;
}

/** What SQL holds after a commit. */
export interface SqlState {
  repositories: readonly RepositoryRow[];
  replicas: readonly ReplicaRow[];
}

/** A batch that a controller asks SQL to commit. */
export interface AskedDecision {
  repository: string;
  batch: string;
  transactions: readonly string[];
  generation: number;
  /** Whose promise the decision counts on. */
  promised: readonly string[];
  pushes: readonly PushDone[];
}

/** Watches a run and says what can't be. Everything is optional; what it says stops the run. */
export interface Checker {
  readonly name: string;
  sql?(state: SqlState): void;
  asked?(decision: AskedDecision): void;
  recorded?(node: string, record: JournalRecord): void;
  moved?(node: string, repository: string, from: number | undefined, to: { generation: number; digest: string }, how: string): void;
  /** A node came up with an old disk. */
  rolledBack?(node: string): void;
  /** A node answered a commit. */
  commitAnswered?(batch: string, node: string): void;
  /** SQL couldn't be told that replicas of a repository aren't current. */
  markFailed?(repository: string): void;
  /** SQL has admitted a replica by this job. */
  admitted?(job: RepairJob, state: SqlState): void;
  pushed?(push: PushDone): void;
  read?(read: ReadDone): void;
  atEnd?(): void;
}

export type CheckerFactory = (simulation: Simulation, violate: (problem: string) => void) => Checker;
