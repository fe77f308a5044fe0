import { createHash, hash } from 'node:crypto';
import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { ObjectContents, ObjectType } from '../git/object-reader.ts';
import { applyDelta, readDeltaHeader } from './delta.ts';
import type { InflateBudget, PackEntry } from './pack-parser.ts';
import { Unclear } from './unclear.ts';

/** git's own default for how deep a chain may be. */
const MAX_DELTA_DEPTH = 50;

/** Copying that much costs less than a Hash object does. */
const SMALL_BODY_BYTES = 4096;

/** Contents of objects in the store, `maxBytes` at the most; undefined for one that isn't there. */
export type FetchBases = (oids: readonly Oid[], maxBytes: number) => Promise<readonly (ObjectContents | undefined)[]>;

/** An object of the pack, whole. */
export interface PackedObject {
  oid: Oid;
  type: ObjectType;
  body: Buffer;
  entry: PackEntry;
  /** The delta's base when it is not in the pack but in the store (a thin pack). */
  storeBase: ObjectContents | undefined;
}

/**
 * Makes an object of every entry.
 * @param fetchBases asked at most once, for the bases that are not in the pack
 * @returns in the order of the entries
 * @throws Unclear when a base is nowhere, a delta is wrong, or a chain is deeper than git makes them
 */
export async function resolveObjects(
  entries: readonly PackEntry[],
  format: ObjectFormat,
  budget: InflateBudget,
  fetchBases: FetchBases,
): Promise<PackedObject[]> {
  const byOffset = new Map<number, Resolved>();
  const byOid = new Map<Oid, Resolved>();
  const keep = (entry: PackEntry, type: ObjectType, body: Buffer, depth: number, storeBase?: ObjectContents) => {
    const object = { oid: hashObject(type, body, format), type, body, entry, storeBase, depth };
    if (depth > MAX_DELTA_DEPTH) throw new Unclear('delta chain too deep');
    if (byOid.has(object.oid)) throw new Unclear('an object is in the pack twice');
    byOffset.set(entry.offset, object);
    byOid.set(object.oid, object);
  };
  const patch = (entry: PackEntry, base: Buffer): Buffer => {
    budget.spend(readDeltaHeader(entry.data).resultBytes);
    return applyDelta(base, entry.data);
  };

  /** Resolves what can be from what is at hand, in as many rounds as it takes, and returns what is left. */
  const resolveFrom = (waiting: readonly PackEntry[], stored: ReadonlyMap<Oid, ObjectContents>): PackEntry[] => {
    let left = [...waiting];
    for (;;) {
      const before = left.length;
      left = left.filter((entry) => {
        const base = entry.baseOid === undefined ? byOffset.get(entry.baseOffset!) : byOid.get(entry.baseOid);
        if (base !== undefined) {
          keep(entry, base.type, patch(entry, base.body), base.depth + 1);
          return false;
        }
        const storeBase = entry.baseOid === undefined ? undefined : stored.get(entry.baseOid);
        if (storeBase === undefined) return true;
        keep(entry, storeBase.type, patch(entry, storeBase.body), 1, storeBase);
        return false;
      });
      if (left.length === 0 || left.length === before) return left;
    }
  };

  for (const entry of entries) if (entry.type !== undefined) keep(entry, entry.type, entry.data, 0);
  let waiting = resolveFrom(entries.filter((entry) => entry.type === undefined), new Map());
  if (waiting.length > 0) {
    waiting = resolveFrom(waiting, await fetchStoreBases(waiting, budget, fetchBases));
    if (waiting.length > 0) throw new Unclear('a delta has no base');
  }
  return entries.map((entry) => byOffset.get(entry.offset)!);
}

/** The id of an object. */
export function hashObject(type: ObjectType, body: Buffer, format: ObjectFormat): Oid {
  const header = `${type} ${body.length}\0`;
  if (body.length > SMALL_BODY_BYTES) return createHash(format).update(header).update(body).digest('hex');
  const bytes = Buffer.allocUnsafe(header.length + body.length);
  bytes.write(header, 'latin1');
  body.copy(bytes, header.length);
  return hash(format, bytes, 'hex');
}

interface Resolved extends PackedObject {
  depth: number;
}

async function fetchStoreBases(
  waiting: readonly PackEntry[],
  budget: InflateBudget,
  fetchBases: FetchBases,
): Promise<Map<Oid, ObjectContents>> {
  const oids = new Set<Oid>();
  let totalBytes = 0;
  for (const entry of waiting) {
    if (entry.baseOid === undefined || oids.has(entry.baseOid)) continue;
    oids.add(entry.baseOid);
    // What the deltas say of their bases bounds what is read: a pack that lies about it fails there.
    totalBytes += readDeltaHeader(entry.data).baseBytes;
  }
  budget.spend(totalBytes);
  const list = [...oids];
  const bases = await fetchBases(list, totalBytes);
  return new Map(list.flatMap((oid, i) => {
    const base = bases[i];
    return base === undefined ? [] : [[oid, base] as const];
  }));
}
