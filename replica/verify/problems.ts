import type { ReplicaProblem } from '@trivet/proto/messages.ts';

/** A damaged repository may have millions; these are enough to know what to do. */
export const MAX_PROBLEMS = 20;
const MAX_DETAIL_LENGTH = 300;

/** What is wrong with a replica, bounded: each is one line. */
export class Problems {
  readonly #found: ReplicaProblem[] = [];

  add(kind: ReplicaProblem['kind'], detail: string): void {
    if (this.#found.length >= MAX_PROBLEMS) return;
    // A ref may have any name, and git's complaints have it too.
    const line = detail.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, ' ').trim();
    this.#found.push({ kind, detail: line.length > MAX_DETAIL_LENGTH ? `${line.slice(0, MAX_DETAIL_LENGTH - 1)}…` : line });
  }

  get found(): readonly ReplicaProblem[] {
    return this.#found;
  }
}
