import type { Oid } from '@trivet/proto/object-format.ts';
import type { ObjectType } from './object-reader.ts';

/** About 1 MiB for a repository. */
const MAX_OBJECTS = 8192;
const MAX_JUDGED = 1024;
/** An id, its place in the map and what it stands for. */
const ENTRY_BYTES = 128;

/**
 * Objects that are known to be in a repository's store, least recently used forgotten first: what need not be asked
 * again. True as long as nothing is pruned; whoever prunes drops the repository from `ObjectReaders`.
 */
export class KnownObjects {
  readonly #types = new Map<Oid, ObjectType>();
  readonly #judged = new Map<string, true>();

  /** About how many bytes of memory are in use. */
  get bytes(): number {
    return (this.#types.size + this.#judged.size) * ENTRY_BYTES;
  }

  typeOf(oid: Oid): ObjectType | undefined {
    const type = this.#types.get(oid);
    if (type !== undefined) touch(this.#types, oid, type, MAX_OBJECTS);
    return type;
  }

  add(oid: Oid, type: ObjectType): void {
    touch(this.#types, oid, type, MAX_OBJECTS);
  }

  /** Whether git has found this blob to be sound as a file of this name (`.gitmodules` or `.gitattributes`). */
  isJudged(name: string, oid: Oid): boolean {
    return this.#judged.has(`${name} ${oid}`);
  }

  judge(name: string, oid: Oid): void {
    touch(this.#judged, `${name} ${oid}`, true, MAX_JUDGED);
  }

  clear(): void {
    this.#types.clear();
    this.#judged.clear();
  }
}

function touch<V>(map: Map<string, V>, key: string, value: V, max: number): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= max) return;
  for (const oldest of map.keys()) {
    map.delete(oldest);
    return;
  }
}
