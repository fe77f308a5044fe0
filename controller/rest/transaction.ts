import Type, { type Static } from 'typebox';
import { Page } from './page.ts';
import { Count, OrNull, Time } from './parts.ts';

export const TRANSACTION_OUTCOMES = ['commit', 'abort', 'in_doubt'] as const;

/** One push, and what was decided about it. */
export const TransactionAnswer = Type.Object({
  id: Type.String(),
  batch: Type.String(),
  /** Null when the repository is gone. */
  repository: OrNull(Type.String()),
  repositoryId: Type.String(),
  /** `in_doubt`: a node holds a promise, and SQL has no decision yet. */
  outcome: Type.Enum([...TRANSACTION_OUTCOMES]),
  /** The one its batch ended in; null unless it is committed. */
  generation: OrNull(Count),
  /** The controller that decided. */
  decidedBy: OrNull(Type.String()),
  decidedAt: OrNull(Time),
  /** Who still holds a promise. */
  promises: Type.Array(Type.Object({ node: Type.String(), ageMs: Type.Number({ minimum: 0 }) })),
});
export type TransactionAnswer = Static<typeof TransactionAnswer>;

export const TransactionPage = Page(TransactionAnswer);
export type TransactionPage = Static<typeof TransactionPage>;
