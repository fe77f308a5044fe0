import { randomInt } from 'node:crypto';

/** Of each id only its first 32 bits are kept. */
export const PREFIX_BYTES = 4;

const MIN_SLOTS = 256;
const GOLDEN_RATIO = 0x9e3779b1;

/** A set of 32-bit prefixes that grows: 8 to 16 bytes for each. */
export class IdPrefixSet {
  /** Open addressing; 0 is an empty slot. */
  #slots = new Uint32Array(MIN_SLOTS);
  #count = 0;
  /** Whoever chooses ids must not be able to crowd them into one place of the table. */
  readonly #salt = randomInt(2 ** 32);

  /** Bytes of memory in use. */
  get bytes(): number {
    return this.#slots.byteLength;
  }

  add(prefix: number): void {
    const slot = this.#find(prefix || 1);
    if (this.#slots[slot] !== 0) return;
    this.#slots[slot] = prefix || 1;
    this.#count += 1;
    if (this.#count * 2 > this.#slots.length) this.#grow();
  }

  /** Prefix 0 shares its place with 1: a wrong *true* is allowed, a wrong *false* is not. */
  has(prefix: number): boolean {
    return this.#slots[this.#find(prefix || 1)] !== 0;
  }

  /** The slot that holds a prefix, or the empty one where it belongs. */
  #find(prefix: number): number {
    const slots = this.#slots;
    // The upper bits of the product, as many as a slot's number has.
    let slot = Math.imul(prefix ^ this.#salt, GOLDEN_RATIO) >>> (Math.clz32(slots.length) + 1);
    while (slots[slot] !== 0 && slots[slot] !== prefix) slot = (slot + 1) & (slots.length - 1);
    return slot;
  }

  #grow(): void {
    const old = this.#slots;
    this.#slots = new Uint32Array(old.length * 2);
    for (const prefix of old) if (prefix !== 0) this.#slots[this.#find(prefix)] = prefix;
  }
}

/** The prefixes of a large pack, in the order in which its index has them: 4 bytes for each. */
export class SortedIdPrefixes {
  readonly #prefixes: Uint32Array;
  #count = 0;

  constructor(count: number) {
    this.#prefixes = new Uint32Array(count);
  }

  get bytes(): number {
    return this.#prefixes.byteLength;
  }

  /** Not smaller than any that was added before. */
  add(prefix: number): void {
    this.#prefixes[this.#count++] = prefix;
  }

  has(prefix: number): boolean {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#prefixes[middle]! < prefix) low = middle + 1;
      else high = middle;
    }
    return low < this.#count && this.#prefixes[low] === prefix;
  }
}
