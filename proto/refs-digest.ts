import { hash } from 'node:crypto';

const BYTES = 32;

/** The digest of a repository without HEAD and without refs. */
export const EMPTY_REFS_DIGEST = '0'.repeat(BYTES * 2);

/** The value under which HEAD enters the digest: HEAD is a symbolic ref in every replica. */
export function headValue(target: string): string {
  return `ref: ${target}`;
}

/**
 * 256 bits over HEAD and every ref: the XOR of SHA-256(refname NUL value).
 *
 * XOR is its own inverse, so a changed ref costs two hashes whatever the number of refs, and the order in which
 * refs are visited doesn't matter. It detects divergence; it is no defence against someone who can choose both the
 * names and the values of thousands of refs at will (XOR of hashes can be cancelled out by such a party), and needs
 * none: every node computes it from its own refs, nobody sends it on a client's behalf.
 */
export class RefsDigest {
  #bytes: Buffer;

  constructor(hex: string = EMPTY_REFS_DIGEST) {
    if (!/^[0-9a-f]{64}$/.test(hex)) throw new RangeError(`a refs digest has ${BYTES * 2} hexadecimal digits`);
    this.#bytes = Buffer.from(hex, 'hex');
  }

  /** Adds a ref with this value, or takes it out when it is in. */
  toggle(refname: string, value: string): this {
    const digest = hash('sha256', `${refname}\0${value}`, 'buffer');
    for (let i = 0; i < BYTES; i++) this.#bytes[i]! ^= digest[i]!;
    return this;
  }

  /** Moves a ref from one value to another; `undefined` stands for "does not exist". */
  change(refname: string, before: string | undefined, after: string | undefined): this {
    if (before !== undefined) this.toggle(refname, before);
    if (after !== undefined) this.toggle(refname, after);
    return this;
  }

  clone(): RefsDigest {
    return new RefsDigest(this.hex);
  }

  get hex(): string {
    return this.#bytes.toString('hex');
  }
}
