import Type, { type Static } from 'typebox';
import { Count, REPLICA_STATES } from './parts.ts';

export const VERIFICATION_RESULTS = ['equal', 'diverged', 'corrupt', 'missing', 'outdated', 'unreachable'] as const;

/** What every replica of a repository really has, compared with SQL. */
export const VerificationAnswer = Type.Object({
  repository: Type.String(),
  /** Whether all objects were checked as well, not only the refs. */
  full: Type.Boolean(),
  replicas: Type.Array(Type.Object({
    node: Type.String(),
    /** As SQL had it before: what is found takes a replica out of service. */
    state: Type.Enum([...REPLICA_STATES]),
    result: Type.Enum([...VERIFICATION_RESULTS]),
    detail: Type.String(),
    packs: Count,
    bytes: Count,
    tookMs: Type.Number({ minimum: 0 }),
  })),
});
export type VerificationAnswer = Static<typeof VerificationAnswer>;
export type VerifiedReplica = VerificationAnswer['replicas'][number];
