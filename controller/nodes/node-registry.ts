import type { NodeStatus } from '@trivet/proto/messages.ts';
import { asTrivetError } from '@trivet/proto/errors.ts';
import type { NodeState } from '../store/rows.ts';
import type { NodeClient } from './node-client.ts';

/** How much of an older average survives one new measurement. */
const AVERAGE_WEIGHT = 0.8;

/** One node as this controller sees it. */
export interface KnownNode {
  readonly id: string;
  readonly client: NodeClient;
  /** What an operator wants of it. */
  state: NodeState;
  /** Where it stands; empty: nobody said. */
  zone: string;
  /** Whether the last thing heard of it was good: it answers, and its restart handshake is over. */
  healthy: boolean;
  /** Why it isn't healthy: an error code. */
  trouble: string | undefined;
  /** When it became healthy or unhealthy, as far as this controller saw. */
  healthChangedAt: Date;
  status: NodeStatus | undefined;
  /** Requests of this controller under way. */
  inFlight: number;
  /** Average time a heartbeat takes, milliseconds. */
  heartbeatMs: number;
  /** Average time until a read begins to be answered, milliseconds; undefined while nothing is known of it. */
  latencyMs: number | undefined;
  /** Falls towards 0 with every success, rises towards 1 with every failure. */
  errorRate: number;
  /** By how much its clock was ahead of ours at the last heartbeat, milliseconds; undefined where it doesn't say. */
  clockSkewMs: number | undefined;
  /** When a read last measured it: elapsed milliseconds of the controller's clock; undefined before the first. */
  measuredAt: number | undefined;
}

/** The SQL side of the registry: which nodes there are. */
export interface NodeDirectory {
  list(): Promise<{ id: string; url: string; state: NodeState; zone: string }[]>;
}

/** Told what changes about a node. */
export interface NodeEvents {
  healthChanged(node: KnownNode): void;
  /** Every heartbeat tells what the node's clock says. */
  clockSeen(node: KnownNode, skewMs: number): void;
}

/**
 * What this controller knows of the nodes. Which exist comes from SQL; whether they can be used is this controller's own
 * observation: a heartbeat it asks for, and every request that fails. A node is suspected at once and trusted again
 * only by its next good heartbeat, so that one dead node costs one push a delay, not every push.
 */
export class NodeRegistry {
  readonly #nodes = new Map<string, KnownNode>();
  readonly #directory: NodeDirectory;
  readonly #makeClient: (node: string, url: string) => NodeClient;
  readonly #events: NodeEvents;

  constructor(directory: NodeDirectory, makeClient: (node: string, url: string) => NodeClient, events: NodeEvents) {
    this.#directory = directory;
    this.#makeClient = makeClient;
    this.#events = events;
  }

  get all(): KnownNode[] {
    return [...this.#nodes.values()];
  }

  get(id: string): KnownNode | undefined {
    return this.#nodes.get(id);
  }

  /** A node that can take part in pushes and answer reads; undefined when it is unknown, removed or unhealthy. */
  usable(id: string): KnownNode | undefined {
    const node = this.#nodes.get(id);
    return node !== undefined && node.healthy && node.state !== 'removed' ? node : undefined;
  }

  /** The ids of the nodes that can be used, and of those that can't. */
  get byUse(): { usable: string[]; unusable: string[] } {
    const ids = (usable: boolean) => this.all.filter(({ id }) => (this.usable(id) !== undefined) === usable).map(({ id }) => id);
    return { usable: ids(true), unusable: ids(false) };
  }

  /** A node that can also promise: one whose disk takes no more still answers reads. */
  writable(id: string): KnownNode | undefined {
    const node = this.usable(id);
    return node?.status?.writable === false ? undefined : node;
  }

  /** Takes over what SQL says. */
  async refresh(): Promise<void> {
    const listed = await this.#directory.list();
    for (const { id, url, state, zone } of listed) {
      const known = this.#nodes.get(id);
      if (known === undefined || known.client.url !== url) this.#add(id, url, state);
      Object.assign(this.#nodes.get(id)!, { state, zone });
    }
    const ids = new Set(listed.map((node) => node.id));
    for (const id of this.#nodes.keys()) if (!ids.has(id)) this.#nodes.delete(id);
  }

  /** Asks every node for its heartbeat. */
  async poll(): Promise<void> {
    await Promise.all(this.all.map((node) => this.#ask(node)));
  }

  /** Asks one node for its heartbeat: something suggests that there is news. */
  async ask(id: string): Promise<void> {
    const node = this.#nodes.get(id);
    if (node !== undefined) await this.#ask(node);
  }

  /** A node has just finished its restart handshake. */
  trust(id: string): void {
    const node = this.#nodes.get(id);
    if (node !== undefined) this.#setHealth(node, true, undefined);
  }

  /**
   * A request to a node went wrong in a way that says something about the node. It is asked how it is at once: one that
   * was only late must not be missing in every push until its next heartbeat.
   */
  suspect(id: string, code: string): void {
    const node = this.#nodes.get(id);
    if (node === undefined) return;
    this.failed(node);
    const wasHealthy = node.healthy;
    this.#setHealth(node, false, code);
    if (wasHealthy) void this.#ask(node);
  }

  /** A read from this node began to be answered after so many milliseconds. */
  succeeded(node: KnownNode, tookMs: number): void {
    node.latencyMs = average(node.latencyMs ?? tookMs, tookMs);
    node.errorRate = average(node.errorRate, 0);
  }

  /** A read from this node failed for a reason that lies with it. */
  failed(node: KnownNode): void {
    node.errorRate = average(node.errorRate, 1);
  }

  /** What reads have shown of a node is too old to be true. */
  forget(node: KnownNode): void {
    node.latencyMs = undefined;
    node.errorRate = 0;
  }

  async #ask(node: KnownNode): Promise<void> {
    const askedAt = performance.now();
    try {
      const status = await node.client.status();
      node.status = status;
      const tookMs = performance.now() - askedAt;
      node.heartbeatMs = average(node.heartbeatMs, tookMs);
      this.#compareClocks(node, tookMs);
      this.#setHealth(node, status.ready && status.node === node.id, status.node !== node.id ? 'internal' : status.stopping === true ? 'shutting_down' : 'node_starting');
    } catch (error) {
      this.#setHealth(node, false, asTrivetError(error).code);
    }
  }

  /** The answer was written somewhere in the time it took: in the middle, as far as anybody knows. */
  #compareClocks(node: KnownNode, tookMs: number): void {
    if (node.status?.clockMs === undefined) return;
    node.clockSkewMs = Math.round(node.status.clockMs - (Date.now() - tookMs / 2));
    this.#events.clockSeen?.(node, node.clockSkewMs);
  }

  #add(id: string, url: string, state: NodeState): void {
    this.#nodes.set(id, {
      id, client: this.#makeClient(id, url), state, zone: '', healthy: false, trouble: 'node_starting', healthChangedAt: new Date(),
      status: undefined, inFlight: 0, heartbeatMs: 1, latencyMs: undefined, errorRate: 0, clockSkewMs: undefined, measuredAt: undefined,
    });
  }

  #setHealth(node: KnownNode, healthy: boolean, trouble: string | undefined): void {
    const changed = node.healthy !== healthy;
    node.healthy = healthy;
    node.trouble = healthy ? undefined : trouble;
    if (changed) node.healthChangedAt = new Date();
    if (changed) this.#events.healthChanged(node);
  }
}

function average(before: number, measured: number): number {
  return before * AVERAGE_WEIGHT + measured * (1 - AVERAGE_WEIGHT);
}
