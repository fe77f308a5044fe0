import type { Oid } from '@trivet/proto/object-format.ts';
import type { RefUpdate } from './ref-change.ts';
import { directoriesAbove } from './ref-order.ts';
import type { RefView } from './ref-view.ts';

/** Refs as they would be after updates that nobody has carried out yet. The view below must not change meanwhile. */
export class RefOverlay {
  readonly #view: RefView;
  readonly #values = new Map<string, Oid | undefined>();
  /** By how much the number of refs below a directory differs from the view's. */
  readonly #differences = new Map<string, number>();
  #counts: Map<string, number> | undefined;

  constructor(view: RefView) {
    this.#view = view;
  }

  get(name: string): Oid | undefined {
    return this.#values.has(name) ? this.#values.get(name) : this.#view.get(name);
  }

  set(name: string, oid: Oid | undefined): void {
    const difference = Number(oid !== undefined) - Number(this.get(name) !== undefined);
    this.#values.set(name, oid);
    if (difference === 0) return;
    for (const directory of directoriesAbove(name)) {
      this.#differences.set(directory, (this.#differences.get(directory) ?? 0) + difference);
    }
  }

  hasBelow(name: string): boolean {
    const difference = this.#differences.get(name) ?? 0;
    if (difference === 0) return this.#view.hasBelow(name);
    return difference > 0 || this.#countInView(name) + difference > 0;
  }

  /** What keeps `name` from being created: the ref that is one of its directories, or `name/` with refs below it. */
  conflict(name: string): string | undefined {
    const above = directoriesAbove(name).find((directory) => this.get(directory) !== undefined);
    return above ?? (this.hasBelow(name) ? `${name}/` : undefined);
  }

  /** Refs that end up with another value than in the view, in the order in which they were first set. */
  changes(): RefUpdate[] {
    const updates: RefUpdate[] = [];
    for (const [ref, oid] of this.#values) {
      const old = this.#view.get(ref);
      if (old !== oid) updates.push({ ref, old, new: oid });
    }
    return updates;
  }

  /**
   * Only asked for when refs below `name` were deleted, to know whether that was all of them. One pass over all refs
   * serves every such question: a push may turn thousands of directories into refs.
   */
  #countInView(name: string): number {
    this.#counts ??= countByDirectory(this.#view);
    return this.#counts.get(name) ?? 0;
  }
}

function countByDirectory(view: RefView): Map<string, number> {
  const counts = new Map<string, number>();
  for (const [name] of view.entries()) {
    for (const directory of directoriesAbove(name)) counts.set(directory, (counts.get(directory) ?? 0) + 1);
  }
  return counts;
}
