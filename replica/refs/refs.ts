import type { Oid } from '@trivet/proto/object-format.ts';
import type { PreparedRefs } from './prepared-refs.ts';
import type { RefChange } from './ref-change.ts';
import type { RefView } from './ref-view.ts';

/** The refs of one replica, to read and to change. `RefStore` is the real one; the simulation has one without files. */
export interface Refs extends RefView {
  /** Whether no change is pending or was left half done. */
  readonly settled: boolean;
  /** A snapshot: a later commit doesn't change what was given out. */
  entries(): readonly (readonly [name: string, oid: Oid])[];
  /**
   * Takes the locks and writes the new values beside the old ones; nothing is visible yet.
   * @throws TrivetError `replica_busy` when a lock is held or another change is pending, `disk_failure`, or `internal`
   *   when an old value differs or the change can't be; then nothing is left behind
   */
  prepare(change: RefChange): Promise<PreparedRefs>;
  /** Makes these refs so, whatever they were and however often it was done before. Throws as `prepare`. */
  apply(change: RefChange): Promise<void>;
  /** Makes the refs exactly these, and HEAD point at `head`. Throws as `prepare`. */
  replaceAll(head: string, refs: Iterable<readonly [string, Oid]>): Promise<void>;
  /** The refs digest of what the disk holds now, whatever memory says. */
  digestFromDisk(): Promise<string>;
}
