import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { Count, OrNull, Position, Time } from './parts.ts';

/** Acknowledged pushes that an operator gives up, or gave up, by making a replica that is behind the truth. */
export const DataLossAnswer = Type.Object({
  /** Null for a plan. */
  id: OrNull(Type.String()),
  repository: Type.String(),
  repositoryId: Type.String(),
  /** The node whose replica becomes the truth. */
  source: Type.String(),
  acceptedBy: Type.String(),
  reason: Type.String(),
  /** A plan: nothing was changed. */
  dryRun: Type.Boolean(),
  before: Position,
  after: Position,
  /** How many generations below `before`'s, that one included, are given up. */
  lost: Type.Object({ generations: Count }),
  /** What becomes of each replica; empty in the list of what was done. */
  replicas: Type.Array(Type.Object({
    node: Type.String(), generation: Count, digest: Type.String(), becomes: Type.String(),
  })),
  /** Null for a plan. */
  acceptedAt: OrNull(Time),
});
export type DataLossAnswer = Static<typeof DataLossAnswer>;

export const DataLossPage = Page(DataLossAnswer);
export type DataLossPage = Static<typeof DataLossPage>;
