import type { ReplicaPosition } from '@trivet/proto/messages.ts';
import type { PromiseRecord } from './journal.ts';

/** Whether a promise says what was decided. A node that promised something else has no part in the decision. */
export function promises(record: PromiseRecord, decided: ReplicaPosition): boolean {
  return record.after.generation === decided.generation && record.after.digest === decided.digest;
}
