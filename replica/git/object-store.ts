import type { ObjectFormat, Oid } from '@trivet/proto/object-format.ts';
import { ContentsTooLargeError } from './contents-too-large.ts';
import { KnownObjects } from './known-objects.ts';
import type { ObjectContents, ObjectReader, ObjectType } from './object-reader.ts';
import { ObjectPresence } from './object-presence.ts';
import type { RecentContents } from './recent-contents.ts';

/** Each store has its own part of the shared cache, and a new one when it has forgotten everything. */
let nextNumber = 0;

/**
 * One repository's objects as this process knows them: answers from memory what it can, and asks the long-lived
 * `git cat-file` for the rest. Ids that are nowhere are not asked for at all.
 */
export class ObjectStore {
  readonly known = new KnownObjects();
  readonly presence: ObjectPresence;
  readonly #contents: RecentContents;
  readonly #reader: () => ObjectReader;
  #number = nextNumber++;

  /** @param reader gives the repository's reader, when one is needed */
  constructor(
    gitDir: string, objectFormat: ObjectFormat, maxPresenceBytes: number, contents: RecentContents,
    reader: () => ObjectReader,
  ) {
    this.presence = new ObjectPresence(gitDir, objectFormat, maxPresenceBytes);
    this.#contents = contents;
    this.#reader = reader;
  }

  /** About how many bytes of memory are in use, without the shared cache of contents. */
  get bytes(): number {
    return this.presence.bytes + this.known.bytes;
  }

  /**
   * The type of each object, in the order asked; undefined for one that isn't there. Throws `git_failed` and
   * `disk_failure`.
   */
  async types(oids: readonly Oid[]): Promise<(ObjectType | undefined)[]> {
    const found = new Map<Oid, ObjectType | undefined>(oids.map((oid) => [oid, this.known.typeOf(oid)]));
    const asked = await this.#possible([...found.keys()].filter((oid) => found.get(oid) === undefined));
    if (asked.length > 0) {
      const answers = await this.#reader().info(asked);
      asked.forEach((oid, i) => {
        const type = answers[i]?.type;
        if (type === undefined) return;
        found.set(oid, type);
        this.known.add(oid, type);
      });
    }
    return oids.map((oid) => found.get(oid));
  }

  /**
   * Type and content of each object, in the order asked; undefined for one that isn't there.
   * Throws ContentsTooLargeError when all together have more than `maxBytes`, `git_failed` and `disk_failure`.
   */
  async contents(oids: readonly Oid[], maxBytes: number): Promise<(ObjectContents | undefined)[]> {
    const found = new Map<Oid, ObjectContents | undefined>();
    let leftBytes = maxBytes;
    for (const oid of oids) {
      // A content is kept from the vote on, and may be used when its object is in the store.
      const contents = this.known.typeOf(oid) === undefined ? undefined : this.#contents.get(this.#key(oid));
      found.set(oid, contents);
      leftBytes -= contents?.body.length ?? 0;
    }
    if (leftBytes < 0) throw new ContentsTooLargeError(maxBytes);
    const asked = await this.#possible([...found.keys()].filter((oid) => found.get(oid) === undefined));
    if (asked.length > 0) {
      const answers = await this.#reader().contents(asked, leftBytes);
      asked.forEach((oid, i) => found.set(oid, answers[i]));
    }
    return oids.map((oid) => found.get(oid));
  }

  /** Keeps the content of an object that has been checked and may soon be in the store. */
  keepContents(oid: Oid, type: ObjectType, body: Buffer): void {
    this.#contents.set(this.#key(oid), type, body);
  }

  /** Forgets everything: for when objects may have gone. */
  forget(): void {
    this.#number = nextNumber++;
    this.unload();
    this.presence.refresh();
  }

  /** Gives memory back. */
  unload(): void {
    this.known.clear();
    this.presence.unload();
  }

  async #possible(oids: readonly Oid[]): Promise<Oid[]> {
    const mayHave = await this.presence.mayHave(oids);
    return oids.filter((_, i) => mayHave[i]);
  }

  #key(oid: Oid): string {
    return `${this.#number} ${oid}`;
  }
}
