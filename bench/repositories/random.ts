import { createCipheriv, createHash } from 'node:crypto';

/** Pseudo-random numbers that are the same in every run with the same seed: AES-128 in counter mode. */
export class Random {
  readonly #cipher;
  #pool: Buffer = Buffer.alloc(0);
  #at = 0;

  constructor(seed: string) {
    const key = createHash('sha256').update(seed).digest();
    this.#cipher = createCipheriv('aes-128-ctr', key.subarray(0, 16), key.subarray(16));
  }

  /** `length` bytes that no compression makes smaller. */
  bytes(length: number): Buffer {
    return this.#cipher.update(Buffer.alloc(length));
  }

  /** From 0 up to, not including, 1. */
  fraction(): number {
    if (this.#at === this.#pool.length) {
      this.#pool = this.bytes(64 * 1024);
      this.#at = 0;
    }
    this.#at += 4;
    return this.#pool.readUInt32LE(this.#at - 4) / 2 ** 32;
  }

  /** A whole number from 0 up to, not including, `below`. */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  /** One of `values`, the first ones far more often: as words in a text, or files in a project's history. */
  skewed<T>(values: readonly T[]): T {
    return values[Math.floor(this.fraction() ** 3 * values.length)]!;
  }
}
