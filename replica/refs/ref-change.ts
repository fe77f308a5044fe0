import type { Oid } from '@trivet/proto/object-format.ts';

/** One ref from one value to another; `undefined` stands for "does not exist". */
export interface RefUpdate {
  ref: string;
  old: Oid | undefined;
  new: Oid | undefined;
}

/** What a batch does to a repository's refs: each ref at most once, all of it or nothing. */
export interface RefChange {
  updates: readonly RefUpdate[];
  /** What HEAD points at, before and after. */
  head?: { old: string; new: string };
}
