import type { Random } from '../random.ts';

/** One value on a disk that is written as a whole: it has the last value written, and after a crash any since the last flush. */
export class Register<T> {
  #durable: T;
  #pending: T[] | undefined;

  constructor(value: T) {
    this.#durable = value;
  }

  get value(): T {
    return this.#pending === undefined ? this.#durable : this.#pending.at(-1)!;
  }

  /** What surely survives a crash, where nothing is pending. */
  get durable(): T {
    return this.#durable;
  }

  write(value: T): void {
    (this.#pending ??= []).push(value);
  }

  flush(): void {
    if (this.#pending === undefined) return;
    this.#durable = this.#pending.at(-1)!;
    this.#pending = undefined;
  }

  /** The loss of power. @param torn what a write that never reached the disk may look like instead */
  lose(random: Random, torn?: T): void {
    if (this.#pending === undefined) return;
    const possible = torn === undefined ? [this.#durable, ...this.#pending] : [this.#durable, ...this.#pending, torn];
    this.#durable = random.pick(possible);
    this.#pending = undefined;
  }
}
