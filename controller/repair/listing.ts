import { madeAtMs } from '@trivet/proto/id.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Findings } from '../store/findings.ts';
import type { Removals } from '../store/removals.ts';
import type { Replicas } from '../store/replicas.ts';
import type { Repositories } from '../store/repositories.ts';

/** Empty directories asked about in one pass at most, for each node. */
const MAX_ASKED = 1_000;

/**
 * Compares what directories a node has with what SQL says it has: finds repositories that SQL doesn't know. They are
 * reported and not removed, for they may be all that is left of something. Except for those that hold nothing: a creation
 * that died before SQL knew of it leaves such. What is to go from the disk anyway is no finding. (What SQL knows and the
 * disk doesn't have is found by verification and by the restart handshake.)
 */
export class Listing {
  readonly #nodes: NodeRegistry;
  readonly #repositories: Repositories;
  readonly #replicas: Replicas;
  readonly #removals: Pick<Removals, 'ofNode'>;
  readonly #findings: Findings;
  readonly #youngMs: number;
  readonly #onFound: (repository: string, node: string, kind: 'unknown', detail: string) => void;
  /** In which life each node was asked last. */
  readonly #asked = new Map<string, string>();

  constructor(input: {
    nodes: NodeRegistry; repositories: Repositories; replicas: Replicas; removals: Pick<Removals, 'ofNode'>; findings: Findings;
    /** A repository's directories are made before SQL knows of it: one that is younger may still be on its way. */
    youngMs: number;
    onFound(repository: string, node: string, kind: 'unknown', detail: string): void;
  }) {
    this.#nodes = input.nodes;
    this.#repositories = input.repositories;
    this.#replicas = input.replicas;
    this.#removals = input.removals;
    this.#findings = input.findings;
    this.#youngMs = input.youngMs;
    this.#onFound = input.onFound;
  }

  /** Asks every node that can be used. @param restarted only those that have started since they were last asked */
  async run(restarted = false): Promise<void> {
    for (const id of this.#nodes.byUse.usable) {
      const node = this.#nodes.usable(id);
      const boot = node?.status?.boot;
      if (node === undefined || boot === undefined || (restarted && this.#asked.get(id) === boot)) continue;
      const ids = await node.client.replicas().catch(() => undefined);
      if (ids === undefined) continue;
      this.#asked.set(id, boot);
      await this.compare(id, ids);
    }
  }

  /** @param ids every repository directory on the node's disk */
  async compare(node: string, ids: readonly string[], nowMs = Date.now()): Promise<void> {
    const configured = new Set((await this.#replicas.ofNode(node)).map((replica) => replica.repository));
    const leaving = new Set(await this.#removals.ofNode(node));
    const candidates = ids.filter((id) => !configured.has(id) && !leaving.has(id) && nowMs - madeAtMs(id) > this.#youngMs);
    const unknown: string[] = [];
    for (const [i, id] of candidates.entries()) {
      const route = await this.#repositories.routeById(id);
      if (route === undefined && i < MAX_ASKED && await this.#removeIfEmpty(id, node)) continue;
      unknown.push(id);
      const detail = route === undefined
        ? 'a repository directory that SQL does not know'
        : `a surplus copy of ${route.repository.name}, which is not configured to be here`;
      if (await this.#findings.unknown(id, node, detail)) this.#onFound(id, node, 'unknown', detail);
    }
    await this.#findings.resolveUnknown(node, unknown);
  }

  /** Nothing is lost with it, whoever made it. */
  async #removeIfEmpty(id: string, node: string): Promise<boolean> {
    return await this.#nodes.usable(node)?.client.removeReplica(id, { ifEmpty: true }).catch(() => false) ?? false;
  }
}
