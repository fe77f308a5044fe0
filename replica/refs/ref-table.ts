import type { Oid } from '@trivet/proto/object-format.ts';
import { headValue, RefsDigest } from '@trivet/proto/refs-digest.ts';
import type { RefChange } from './ref-change.ts';
import { directoriesAbove, sortRefNames } from './ref-order.ts';
import type { RefView } from './ref-view.ts';

/** The refs in memory, with what makes every question about them cheap: counts by directory and a running digest. */
export class RefTable implements RefView {
  #head: string;
  #digest: string;
  readonly #refs: Map<string, Oid>;
  /** How many refs lie below each directory; a directory without any has no entry. */
  readonly #below = new Map<string, number>();
  // Both are made when asked for. A changed value outdates the entries only, a created or deleted ref both.
  #names: string[] | undefined;
  #entries: (readonly [string, Oid])[] | undefined;

  /** @param refs taken over, not copied */
  constructor(head: string, refs: Map<string, Oid>) {
    this.#head = head;
    this.#refs = refs;
    const digest = new RefsDigest().toggle('HEAD', headValue(head));
    for (const [name, oid] of refs) {
      digest.toggle(name, oid);
      this.#count(name, 1);
    }
    this.#digest = digest.hex;
  }

  get head(): string {
    return this.#head;
  }

  get digest(): string {
    return this.#digest;
  }

  get size(): number {
    return this.#refs.size;
  }

  get(name: string): Oid | undefined {
    return this.#refs.get(name);
  }

  hasBelow(name: string): boolean {
    return this.#below.has(name);
  }

  /** A snapshot: what is changed later doesn't change an array that was given out. */
  entries(): readonly (readonly [name: string, oid: Oid])[] {
    this.#names ??= sortRefNames([...this.#refs.keys()]);
    this.#entries ??= this.#names.map((name) => [name, this.#refs.get(name)!]);
    return this.#entries;
  }

  /** The entries as they would be after a change. */
  entriesAfter(change: RefChange): (readonly [name: string, oid: Oid])[] {
    const changed = new Map(change.updates.map(({ ref, new: oid }) => [ref, oid]));
    const names = this.entries().map(([name]) => name).filter((name) => !changed.has(name));
    for (const [name, oid] of changed) if (oid !== undefined) names.push(name);
    return sortRefNames(names).map((name) => [name, changed.get(name) ?? this.#refs.get(name)!]);
  }

  /** The digest as it would be after a change, at the cost of the changed refs alone. */
  digestAfter(change: RefChange): string {
    const digest = new RefsDigest(this.#digest);
    for (const { ref, new: oid } of change.updates) digest.change(ref, this.#refs.get(ref), oid);
    if (change.head) digest.change('HEAD', headValue(this.#head), headValue(change.head.new));
    return digest.hex;
  }

  /**
   * Takes a change in. The old values it names are not looked at.
   * @param digestAfter what `digestAfter` said of it: hashing 10,000 refs once is enough
   */
  install(change: RefChange, digestAfter: string): void {
    this.#digest = digestAfter;
    this.#entries = undefined;
    for (const { ref, new: oid } of change.updates) {
      const existed = this.#refs.has(ref);
      if (oid === undefined) this.#refs.delete(ref);
      else this.#refs.set(ref, oid);
      if (existed === (oid !== undefined)) continue;
      this.#count(ref, existed ? -1 : 1);
      this.#names = undefined;
    }
    if (change.head) this.#head = change.head.new;
  }

  #count(name: string, difference: number): void {
    for (const directory of directoriesAbove(name)) {
      const count = (this.#below.get(directory) ?? 0) + difference;
      if (count === 0) this.#below.delete(directory);
      else this.#below.set(directory, count);
    }
  }
}
