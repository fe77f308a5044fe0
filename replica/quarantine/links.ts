import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import type { KnownObjects } from '../git/known-objects.ts';
import type { ObjectType } from '../git/object-reader.ts';
import { checkObject } from './object-grammar.ts';
import type { PackedObject } from './resolve.ts';
import { linksOfStoredTree } from './tree-grammar.ts';
import { Unclear, type NamedBlob } from './unclear.ts';

/** What the objects of a pack need that the pack does not bring: id and type of each. */
export type OutsideLinks = Map<Oid, ObjectType>;

/**
 * Checks every object of a pack and collects what they name.
 *
 * The store of a replica is *closed*: whatever is in it has all that it names, because every pack was let in by this
 * check (or by `git index-pack --strict`, which does the same). So one step out of the pack is enough, no walk needed,
 * and what a stored tree links to need not be asked for.
 * @returns the links that lead out of the pack and aren't known to be in the store, and the blobs whose name makes git
 *   look into them
 * @throws Unclear when an object is not clearly sound, or a link has another type than the object it leads to
 */
export function collectLinks(
  objects: readonly PackedObject[],
  format: ObjectFormat,
  known: KnownObjects,
): { outside: OutsideLinks; unjudged: NamedBlob[] } {
  const inPack = new Map(objects.map((object) => [object.oid, object.type]));
  const outside: OutsideLinks = new Map();
  const unjudged: NamedBlob[] = [];
  let inBase: ReadonlySet<string> = new Set();
  const findings = {
    link(oid: Oid, type: ObjectType) {
      const presentType = inPack.get(oid) ?? known.typeOf(oid) ?? outside.get(oid);
      if (presentType === undefined) {
        if (!inBase.has(`${type} ${oid}`)) outside.set(oid, type);
      } else if (presentType !== type) {
        throw new Unclear('a link to an object of another type');
      }
    },
    namedBlob(name: string, oid: Oid) {
      if (!known.isJudged(name, oid)) unjudged.push({ name, oid });
    },
  };
  for (const { type, body, storeBase } of objects) {
    inBase = storeBase?.type === 'tree' ? linksOfStoredTree(storeBase.body, format) : new Set();
    checkObject(type, body, format, findings);
  }
  return { outside, unjudged };
}

/**
 * The guard of the closed store: every link out of the pack leads to an object of the store, of the right type.
 * @param found what the store has for each link
 * @throws Unclear when it does not
 */
export function verifyLinks(outside: OutsideLinks, found: ReadonlyMap<Oid, ObjectType | undefined>): void {
  for (const [oid, type] of outside) {
    if (found.get(oid) !== type) throw new Unclear('a link leads nowhere');
  }
}
