import { TrivetError } from '@trivet/proto/errors.ts';
import type { Nodes } from '../store/nodes.ts';
import type { NodeClient } from './node-client.ts';

/** A process that says it is a node of this cluster. */
export interface Newcomer {
  node: string;
  url: string;
  boot: string;
  /** That which its directory belongs to, if it says so. */
  cluster?: string;
}

/** Decides whether a process that has started may be the node it says it is. Nothing is changed here. */
export class Joining {
  readonly #nodes: Pick<Nodes, 'get'>;
  readonly #cluster: string;
  readonly #client: (node: string, url: string) => Pick<NodeClient, 'status'>;

  /** @param cluster the id of the one that this controller belongs to */
  constructor(nodes: Pick<Nodes, 'get'>, cluster: string, client: (node: string, url: string) => Pick<NodeClient, 'status'>) {
    this.#nodes = nodes;
    this.#cluster = cluster;
    this.#client = client;
  }

  /**
   * @returns the cluster's id
   * @throws TrivetError wrong_cluster, node_removed, node_id_in_use
   */
  async admit({ node, url, boot, cluster }: Newcomer): Promise<string> {
    if (cluster !== undefined && cluster !== this.#cluster) {
      throw new TrivetError('wrong_cluster', { node, directoryOf: cluster, cluster: this.#cluster });
    }
    const known = await this.#nodes.get(node);
    if (known?.state === 'removed') throw new TrivetError('node_removed', { node });
    // At its own URL it is the newcomer that would answer, for a node listens before it says hello.
    if (known !== undefined && known.url !== url && known.boot !== boot && await this.#lives(node, known.url, known.boot)) {
      throw new TrivetError('node_id_in_use', { node, url: known.url });
    }
    return this.#cluster;
  }

  /** Whether that process of the node still answers where it was last. */
  async #lives(node: string, url: string, boot: string): Promise<boolean> {
    const status = await this.#client(node, url).status().catch(() => undefined);
    return status?.node === node && status.boot === boot;
  }
}
