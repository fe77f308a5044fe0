import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { OrNull, Time } from './parts.ts';

export const FINDING_KINDS = ['outdated', 'diverged', 'corrupt', 'missing', 'unknown'] as const;

/** What verification found on a node's disk. */
export const FindingAnswer = Type.Object({
  id: Type.String(),
  node: Type.String(),
  /** Null for a directory that SQL doesn't know. */
  repository: OrNull(Type.String()),
  repositoryId: Type.String(),
  kind: Type.Enum([...FINDING_KINDS]),
  detail: Type.String(),
  foundAt: Time,
  /** When the replica was current again, or the directory gone. */
  resolvedAt: OrNull(Time),
});
export type FindingAnswer = Static<typeof FindingAnswer>;

export const FindingPage = Page(FindingAnswer);
export type FindingPage = Static<typeof FindingPage>;
