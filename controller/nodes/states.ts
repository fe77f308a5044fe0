import { TrivetError } from '@trivet/proto/errors.ts';
import type { Membership } from '../store/membership.ts';
import { HEARD_WITHIN_MS, type Nodes } from '../store/nodes.ts';
import type { Removals } from '../store/removals.ts';
import type { Node, NodeState, ReplicaState } from '../store/rows.ts';
import type { KnownNode, NodeRegistry } from './node-registry.ts';

/** A node as an operator is told of it. */
export interface NodeView {
  row: Node;
  /** What this controller sees of it. */
  known: KnownNode | undefined;
  /**
   * What it is now: what an operator wants of it, unless it is `cordoned` because it isn't well or its disk takes nothing, or
   * `drained` because nothing is left on one that was draining.
   */
  state: NodeState | 'cordoned' | 'drained';
  replicas: Partial<Record<ReplicaState, number>>;
  /** New replicas that are being filled on it, and copies that are still to be deleted from it. */
  arriving: number;
  removals: number;
}

/** Replicas taken away from a dead node by one query. */
const BATCH = 500;

/** What operators want of nodes. */
export class NodeStates {
  readonly #rows: Nodes;
  readonly #nodes: NodeRegistry;
  readonly #membership: Membership;
  readonly #removals: Removals;
  readonly #onChanged: (node: string, state: NodeState) => void;

  constructor(input: {
    rows: Nodes; nodes: NodeRegistry; membership: Membership; removals: Removals; onChanged(node: string, state: NodeState): void;
  }) {
    this.#rows = input.rows;
    this.#nodes = input.nodes;
    this.#membership = input.membership;
    this.#removals = input.removals;
    this.#onChanged = input.onChanged;
  }

  async list(): Promise<NodeView[]> {
    return this.#describe(await this.#rows.list());
  }

  /** @throws TrivetError node_not_found */
  async get(id: string): Promise<NodeView> {
    const row = await this.#rows.get(id);
    if (row === undefined) throw new TrivetError('node_not_found', { node: id });
    return (await this.#describe([row]))[0]!;
  }

  /** @throws TrivetError node_not_found */
  async change(id: string, state: Exclude<NodeState, 'removed'>): Promise<NodeView> {
    await this.#rows.setState(id, state);
    return this.#changed(id, state);
  }

  /**
   * Takes a drained node out of the cluster.
   * @param force one that is dead, with all that was on it, as long as every one of its repositories has another newest
   *   replica on a node that is there
   * @throws TrivetError node_not_found; node_needed, naming what holds it
   */
  async remove(id: string, force: boolean): Promise<NodeView> {
    const view = await this.get(id);
    if (view.state === 'removed') return view;
    const held = countOf(view);
    if (!force && (view.row.state !== 'draining' || held > 0 || view.removals > 0)) {
      throw new TrivetError('node_needed', { node: id, problem: view.row.state === 'draining' ? 'it is not drained yet' : 'drain it first', replicas: held, removals: view.removals });
    }
    if (force) await this.#abandon(id);
    if (!await this.#rows.remove(id)) throw new TrivetError('node_needed', { node: id, problem: 'it has got a replica meanwhile' });
    return this.#changed(id, 'removed');
  }

  /** Takes every replica away from a node that is dead. */
  async #abandon(id: string): Promise<void> {
    const heard = await this.#rows.heardLately([id], HEARD_WITHIN_MS);
    if (heard.length > 0 || this.#nodes.usable(id) !== undefined) throw new TrivetError('node_needed', { node: id, problem: 'it lives: drain it' });
    const needed: string[] = [];
    let after = '';
    for (;;) {
      const repositories = await this.#membership.onNodes([id], { after, limit: BATCH });
      for (const repository of repositories) {
        const gone = await this.#membership.takeAway({ repository, node: id, reason: 'moved', heardWithinMs: HEARD_WITHIN_MS, dead: true });
        if (!gone) needed.push(repository);
      }
      if (repositories.length < BATCH) break;
      after = repositories.at(-1)!;
    }
    if (needed.length > 0) {
      throw new TrivetError('node_needed', {
        node: id, problem: 'no other newest replica can be reached of some repositories', repositories: needed.length, first: needed.slice(0, 10),
      });
    }
  }

  async #changed(id: string, state: NodeState): Promise<NodeView> {
    await this.#nodes.refresh();
    this.#onChanged(id, state);
    return this.get(id);
  }

  async #describe(rows: readonly Node[]): Promise<NodeView[]> {
    const [replicas, removals, arriving] = [await this.#rows.replicaCounts(), await this.#removals.count(), await this.#membership.moves()];
    return rows.map((row) => {
      const view = {
        row, known: this.#nodes.get(row.id), replicas: replicas.get(row.id) ?? {}, arriving: arriving.get(row.id) ?? 0, removals: removals.get(row.id) ?? 0,
      };
      return { ...view, state: this.#stateOf(view) };
    });
  }

  #stateOf(view: Omit<NodeView, 'state'>): NodeView['state'] {
    const { id, state } = view.row;
    if (state === 'removed') return state;
    if (state === 'draining' && countOf(view) === 0 && view.removals === 0) return 'drained';
    return this.#nodes.writable(id) === undefined ? 'cordoned' : state;
  }
}

/** How many replicas it has, in whatever state. */
export function countOf({ replicas }: Pick<NodeView, 'replicas'>): number {
  return Object.values(replicas).reduce((sum, count) => sum + count, 0);
}
