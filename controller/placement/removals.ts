import { asTrivetError } from '@trivet/proto/errors.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Removal, Removals } from '../store/removals.ts';

/** Told of every copy that is gone from a disk. */
export interface RemovalEvents {
  copyRemoved(repository: string, node: string): void;
  copyNotRemoved(repository: string, node: string, code: string): void;
}

/** Copies deleted by one tick, and at once on each node: deleting a large directory keeps its disk busy. */
const PER_TICK = 200;
const PER_NODE = 2;

/**
 * Has copies deleted that are replicas no more. That they may go was decided in SQL, where the others were found to be
 * current and verified; here it is only done, again and again until the node has said that the directory is gone.
 */
export class SurplusRemoval {
  readonly #removals: Removals;
  readonly #nodes: NodeRegistry;
  readonly #events: RemovalEvents;

  constructor(removals: Removals, nodes: NodeRegistry, events: RemovalEvents) {
    this.#removals = removals;
    this.#nodes = nodes;
    this.#events = events;
  }

  async tick(): Promise<void> {
    const waiting = await this.#removals.due(this.#nodes.all.filter((node) => node.healthy).map(({ id }) => id), PER_TICK);
    const byNode = Map.groupBy(waiting, ({ node }) => node);
    await Promise.all([...byNode.values()].flatMap((removals) => {
      const next = removals.values();
      return Array.from({ length: PER_NODE }, async () => { for (const removal of next) await this.#remove(removal); });
    }));
  }

  async #remove(removal: Removal): Promise<void> {
    const { repository, node } = removal;
    try {
      await this.#nodes.get(node)!.client.removeReplica(repository);
      this.#events.copyRemoved(repository, node);
    } catch (error) {
      const { code } = asTrivetError(error);
      this.#events.copyNotRemoved(repository, node, code);
      // It has become a replica again, and stays.
      if (code !== 'replica_wanted') return;
    }
    await this.#removals.done(removal);
  }
}
