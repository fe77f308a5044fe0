import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Removal, Removals } from '../store/removals.ts';

/** Copies deleted by one pass at most; the rest follows at the next. */
const LIMIT = 100;

/**
 * Deletes from the nodes' disks what SQL says shall go. The row goes after the node has said that the directory is gone, so
 * whoever dies in between, it is only asked for once more.
 */
export class Disposal {
  readonly #removals: Removals;
  readonly #nodes: NodeRegistry;

  constructor(removals: Removals, nodes: NodeRegistry) {
    this.#removals = removals;
    this.#nodes = nodes;
  }

  /** One after another: a large repository keeps a disk busy for a while. */
  async run(): Promise<void> {
    for (const removal of await this.#removals.due(this.#nodes.byUse.usable, LIMIT)) await this.#remove(removal).catch(() => {});
  }

  async #remove(removal: Removal): Promise<void> {
    const node = this.#nodes.usable(removal.node);
    if (node === undefined) return;
    await node.client.removeReplica(removal.repository);
    await this.#removals.done(removal);
  }
}
