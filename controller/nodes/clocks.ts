/**
 * Tells when a node's clock begins or ceases to be wrong. That is shown and logged and no more: nothing depends on nodes'
 * clocks, for leases run by the database's and deadlines by what each process counts itself.
 */
export class Clocks {
  readonly #limitMs: number;
  readonly #changed: (node: string, skewMs: number, wrong: boolean) => void;
  readonly #wrong = new Set<string>();

  /** @param limitMs how far a clock may be from ours */
  constructor(limitMs: number, changed: (node: string, skewMs: number, wrong: boolean) => void) {
    this.#limitMs = limitMs;
    this.#changed = changed;
  }

  /** @param skewMs by how much the node's clock is ahead of ours */
  seen(node: string, skewMs: number): void {
    const wrong = this.isWrong(skewMs);
    if (wrong === this.#wrong.has(node)) return;
    if (wrong) this.#wrong.add(node);
    else this.#wrong.delete(node);
    this.#changed(node, skewMs, wrong);
  }

  isWrong(skewMs: number): boolean {
    return Math.abs(skewMs) > this.#limitMs;
  }
}
