import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { Count, OrNull, Time } from './parts.ts';

export const IMPORT_STATES = ['waiting', 'running', 'done', 'failed', 'cancelled'] as const;

/** A repository that is filled from elsewhere. */
export const ImportAnswer = Type.Object({
  id: Type.String(),
  /** Its name when it began. One that failed or was cancelled has left none. */
  repository: Type.String(),
  repositoryId: Type.String(),
  /** A URL, or `node:/directory`. */
  source: Type.String(),
  state: Type.Enum([...IMPORT_STATES]),
  /** `fetching`: a node takes it in; `pushing`: it goes to the replicas. */
  phase: OrNull(Type.Enum(['fetching', 'pushing'])),
  /** The node that fetches. */
  node: OrNull(Type.String()),
  progress: Type.Object({ objects: Count, totalObjects: OrNull(Count), bytes: Count }),
  attempt: Count,
  lastError: OrNull(Type.String()),
  createdAt: Time,
  finishedAt: OrNull(Time),
});
export type ImportAnswer = Static<typeof ImportAnswer>;

export const ImportPage = Page(ImportAnswer);
export type ImportPage = Static<typeof ImportPage>;
