import type { Oid } from '@trivet/proto/object-format.ts';

/** The refs of a replica at one generation, held in memory and read-only to everyone but the ref store. */
export interface RefView {
  /** What HEAD points at, such as `refs/heads/main`; that ref need not exist. */
  readonly head: string;
  /** The refs digest over HEAD and every ref, 64 hexadecimal digits. */
  readonly digest: string;
  readonly size: number;
  get(name: string): Oid | undefined;
  /** Whether any ref lies below `name/`, which keeps `name` itself from being a ref. */
  hasBelow(name: string): boolean;
  /** Every ref, sorted by the bytes of its name. */
  entries(): Iterable<readonly [name: string, oid: Oid]>;
}
