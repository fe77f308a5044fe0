import type { Command, Verdict } from '@trivet/proto/vote.ts';
import type { ErrorCode } from '@trivet/proto/errors.ts';

/** What a client was told about a push. */
export type PushOutcome =
  | { kind: 'answered'; verdicts: readonly Verdict[]; copies: number }
  /** Surely not applied. */
  | { kind: 'failed'; code: ErrorCode }
  /** Nobody said, or the answer was lost. */
  | { kind: 'unknown' };

/** A push from its sending to its answer. Until it is answered its outcome is `unknown`. */
export interface PushDone {
  operation: string;
  client: string;
  repository: string;
  sentAt: number;
  /** Infinity when no answer came. */
  answeredAt: number;
  commands: readonly Command[];
  atomic: boolean;
  outcome: PushOutcome;
}

/** A read that was answered. Reads without an answer say nothing. */
export interface ReadDone {
  operation: string;
  client: string;
  repository: string;
  sentAt: number;
  answeredAt: number;
  generation: number;
  digest: string;
  head: string;
  refs: readonly (readonly [name: string, oid: string])[];
}

/** Everything clients did and were told, in the order in which it began. */
export class History {
  readonly pushes: PushDone[] = [];
  readonly reads: ReadDone[] = [];
}
