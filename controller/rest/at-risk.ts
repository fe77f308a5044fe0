import Type, { type Static } from 'typebox';
import { JobAnswer } from './repair-job.ts';
import { Count, OrNull, REPLICA_STATES, Time } from './parts.ts';

export const RISKS = ['under_replicated', 'no_quorum', 'unavailable'] as const;

/** A repository with fewer current replicas on reachable nodes than it is configured to have. */
export const AtRiskItem = Type.Object({
  repository: Type.String(),
  /** The name it had, of one in the trash, where `repository` is `.trash/<id>`; null elsewhere. */
  trashedName: OrNull(Type.String()),
  repositoryId: Type.String(),
  /**
   * The worst that holds. `under_replicated`: fewer than configured; `no_quorum`: too few to take a push;
   * `unavailable`: none to read from.
   */
  kind: Type.Enum([...RISKS]),
  configured: Count,
  quorum: Count,
  /** Current replicas on reachable nodes. */
  current: Count,
  since: Time,
  replicas: Type.Array(Type.Object({
    node: Type.String(),
    state: Type.Enum([...REPLICA_STATES]),
    reachable: Type.Boolean(),
    generation: Count,
    /** Why it isn't current. */
    reason: OrNull(Type.String()),
    changedAt: Time,
  })),
  /** What is being done: its open repair jobs. */
  jobs: Type.Array(JobAnswer),
});
export type AtRiskItem = Static<typeof AtRiskItem>;

export const AtRiskAnswer = Type.Object({
  /** How many there are on all pages; of the kind that was asked for. */
  total: Count,
  /** How many there are of each, whatever was asked for. */
  byKind: Type.Object({ under_replicated: Count, no_quorum: Count, unavailable: Count }),
  items: Type.Array(AtRiskItem),
});
export type AtRiskAnswer = Static<typeof AtRiskAnswer>;
