import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';

/** The object store that a round brings objects into: a replica's own, or that of a replica being rebuilt. */
export interface Store {
  readonly gitDir: string;
  readonly objectFormat: ObjectFormat;
  /** What HEAD points at. */
  head(): string;
  /** What its refs name; everything reachable from there is in it, unless it is damaged. */
  tips(): Iterable<Oid>;
  /** Runs while nobody else moves packs into it or looks whether each has its index. */
  alone<T>(move: () => Promise<T>): Promise<T>;
  /** Told after objects may have come. */
  added(): void;
  /** Told after objects may have gone or become others. */
  replaced(): void;
}
