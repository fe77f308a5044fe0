import Type, { type Static } from 'typebox';
import { FINDING_KINDS } from './finding.ts';
import { JobAnswer } from './repair-job.ts';
import { RISKS } from './at-risk.ts';
import { NodeAnswer } from './node.ts';
import { Count, OrNull, REPLICA_STATES, Time } from './parts.ts';

/** `critical`: something can't be pushed or read, or may be lost. `degraded`: something isn't as it shall be. */
export const VERDICTS = ['ok', 'degraded', 'critical'] as const;

/** What is wrong, and with what. */
export const Problem = Type.Object({
  severity: Type.Enum(['degraded', 'critical']),
  code: Type.String(),
  text: Type.String(),
  node: OrNull(Type.String()),
  repository: OrNull(Type.String()),
});
export type Problem = Static<typeof Problem>;

/** The whole cluster at one glance: what `trivet cluster status`, the console's overview and the first dashboard show. */
export const ClusterStatus = Type.Object({
  at: Time,
  cluster: Type.String(),
  /** Who answers, and its version. */
  controller: Type.String(),
  version: Type.String(),
  verdict: Type.Enum([...VERDICTS]),
  /** The worst first; not more than a screen shows. */
  problems: Type.Array(Problem),
  repositories: Count,
  replicas: Type.Record(Type.Enum([...REPLICA_STATES]), Count),
  atRisk: Type.Object({
    total: Count,
    byKind: Type.Record(Type.Enum([...RISKS]), Count),
    /** Some of them, the worst first. */
    first: Type.Array(Type.Object({
      repository: Type.String(), kind: Type.Enum([...RISKS]), current: Count, configured: Count, since: Time, repairing: Type.Boolean(),
    })),
  }),
  nodes: Type.Array(NodeAnswer),
  controllers: Type.Array(Type.Object({ name: Type.String(), version: Type.String(), running: Type.Boolean(), differs: Type.Boolean() })),
  repairs: Type.Object({
    waiting: Count,
    running: Count,
    /** Some of those that are open, those that run first. */
    first: Type.Array(JobAnswer),
  }),
  findings: Type.Record(Type.Enum([...FINDING_KINDS]), Count),
  /** Of the current replica that was verified longest ago; null while none was. */
  verification: Type.Object({ oldestVerifiedAt: OrNull(Time), oldestCheckedAt: OrNull(Time) }),
  transactionsInDoubt: Count,
  /** Of all controllers together, over the last few seconds. */
  rates: Type.Object({ pushesPerSecond: Type.Number(), readsPerSecond: Type.Number() }),
});
export type ClusterStatus = Static<typeof ClusterStatus>;
