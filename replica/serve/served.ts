import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { RefView } from '../refs/ref-view.ts';

/** A replica as a reader sees it: where its objects are, and its refs at one generation. */
export interface Served {
  gitDir: string;
  objectFormat: ObjectFormat;
  refs: RefView;
  /** For each tag object the object it finally points at, `undefined` for anything else; in the order of `oids`. */
  peel(oids: readonly Oid[]): Promise<(Oid | undefined)[]>;
}
