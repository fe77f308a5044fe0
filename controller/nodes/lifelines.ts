import type { KnownNode } from './node-registry.ts';

/** Opens a lifeline to a node. Resolves when it has ended, whoever ended it. */
export type OpenLifeline = (node: KnownNode, signal: AbortSignal) => Promise<void>;

/** A line that ends while both live is opened again at once; one that can't be opened is tried with the next heartbeat. */
const SHORTEST_MS = 1_000;

/** Told when a lifeline has ended that had been open: the node is stopping or gone, or the wire has broken. */
export type LifelineEnded = (node: KnownNode) => Promise<void>;

/**
 * Keeps one request open to every node that is healthy. It ends with this process, whatever ends that, and tells the node
 * that what this controller coordinated there is in doubt. The other way round it is how a node that stops or dies is
 * noticed before its next heartbeat.
 */
export class Lifelines {
  readonly #open: OpenLifeline;
  readonly #ended: LifelineEnded;
  readonly #stop = new AbortController();
  readonly #lines = new Set<string>();

  constructor(open: OpenLifeline, ended: LifelineEnded) {
    this.#open = open;
    this.#ended = ended;
  }

  /** Opens what is missing. Called with every round of heartbeats, and when a node has started. */
  keep(nodes: readonly KnownNode[]): void {
    for (const node of nodes) if (node.healthy && !this.#lines.has(node.id)) void this.#keep(node);
  }

  close(): void {
    this.#stop.abort();
  }

  async #keep(node: KnownNode): Promise<void> {
    this.#lines.add(node.id);
    let openedAt: number;
    do {
      openedAt = performance.now();
      const opened = await this.#open(node, this.#stop.signal).then(() => true, () => false);
      if (opened && !this.#stop.signal.aborted) await this.#ended(node);
    } while (!this.#stop.signal.aborted && node.healthy && performance.now() - openedAt > SHORTEST_MS);
    this.#lines.delete(node.id);
  }
}
