import { TrivetError } from '@trivet/proto/errors.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { Decisions, Settled } from '../store/decisions.ts';
import type { Repositories } from '../store/repositories.ts';
import type { Decision, Outcome } from '../store/rows.ts';

/** One transaction as an operator sees it: its decision, or who waits for one. */
export interface TransactionView {
  id: string;
  batch: string;
  repository: string | null;
  repositoryId: string;
  outcome: Outcome | 'in_doubt';
  generation: number | null;
  decidedBy: string | null;
  decidedAt: Date | null;
  /** Nodes that hold a promise for it at this moment, and for how long. */
  promises: { node: string; ageMs: number }[];
}

export interface TransactionFilter {
  /** An id. */
  repository?: string;
  outcome?: Outcome | 'in_doubt';
  /** The last id of the page before. */
  after?: string;
  limit: number;
}

/** A promise that some nodes hold. */
interface HeldBatch {
  repository: string;
  batch: string;
  transactions: readonly string[];
  holders: { node: string; ageMs: number }[];
}

/** Looks transactions up: decisions in SQL, promises on the nodes. Decides one only when it is asked to. */
export class Transactions {
  readonly #decisions: Decisions;
  readonly #repositories: Repositories;
  readonly #nodes: NodeRegistry;

  constructor(decisions: Decisions, repositories: Repositories, nodes: NodeRegistry) {
    this.#decisions = decisions;
    this.#repositories = repositories;
    this.#nodes = nodes;
  }

  /** One page, the newest first. Those in doubt are what nodes that can be reached say they have promised. */
  async page(filter: TransactionFilter): Promise<TransactionView[]> {
    const held = await this.#held();
    if (filter.outcome !== 'in_doubt') {
      const { outcome, ...rest } = filter;
      const decisions = await this.#decisions.page({ ...rest, ...(outcome === undefined ? {} : { outcome }) });
      return decisions.map((decision) => fromDecision(decision, held));
    }
    const views = await Promise.all(held.filter((batch) => filter.repository === undefined || batch.repository === filter.repository)
      .flatMap((batch) => batch.transactions.map((id) => this.#view(id, batch))));
    return views.filter((view) => view.outcome === 'in_doubt' && (filter.after === undefined || view.id < filter.after))
      .sort((a, b) => (a.id < b.id ? 1 : -1)).slice(0, filter.limit);
  }

  async get(id: string): Promise<TransactionView | undefined> {
    const held = await this.#held();
    const decision = await this.#decisions.get(id);
    if (decision !== undefined) return fromDecision(decision, held);
    const batch = held.find(({ transactions }) => transactions.includes(id));
    return batch && this.#view(id, batch);
  }

  /**
   * Asks for the decision as a node would, which aborts what nobody has decided, and tells every node that holds a
   * promise for it.
   * @throws TrivetError transaction_not_found when there is neither a decision nor a promise
   */
  async settle(id: string): Promise<TransactionView> {
    const batch = (await this.#held()).find(({ transactions }) => transactions.includes(id));
    if (batch !== undefined) {
      const { repository, transactions } = batch;
      const settled = await this.#decisions.settle({ repository, batch: batch.batch, transactions: [...transactions] });
      await Promise.all(batch.holders.map(async ({ node }) => this.#tell(node, batch, settled)));
    }
    const view = await this.get(id);
    if (view === undefined) throw new TrivetError('transaction_not_found', { transaction: id });
    return view;
  }

  /** A node that doesn't hear it asks by itself. */
  async #tell(node: string, { repository, batch, transactions }: HeldBatch, settled: Settled): Promise<void> {
    const client = this.#nodes.usable(node)?.client;
    const told = settled.outcome === 'commit'
      ? client?.commit(repository, { batch, after: settled.after }, TELL_MS)
      : client?.abort(repository, { batch, transactions: [...transactions] });
    await told?.catch(() => {});
  }

  async #view(id: string, batch: HeldBatch): Promise<TransactionView> {
    const decision = await this.#decisions.get(id);
    if (decision !== undefined) return fromDecision(decision, [batch]);
    const route = await this.#repositories.routeById(batch.repository);
    return {
      id, batch: batch.batch, repository: route?.repository.name ?? null, repositoryId: batch.repository,
      outcome: 'in_doubt', generation: null, decidedBy: null, decidedAt: null, promises: batch.holders,
    };
  }

  /** Every promise on a node that can be reached. */
  async #held(): Promise<HeldBatch[]> {
    const batches = new Map<string, HeldBatch>();
    await Promise.all(this.#nodes.byUse.usable.map(async (node) => {
      const promises = await this.#nodes.usable(node)?.client.promises().catch(() => undefined);
      for (const { ageMs, ...promise } of promises ?? []) {
        const known = batches.get(promise.batch) ?? { ...promise, holders: [] };
        known.holders.push({ node, ageMs });
        batches.set(promise.batch, known);
      }
    }));
    return [...batches.values()];
  }
}

const TELL_MS = 10_000;

function fromDecision(decision: Decision, held: readonly HeldBatch[]): TransactionView {
  const { id, batch, repository, repositoryName, outcome, generation, decidedBy, decidedAt } = decision;
  const promises = held.find((each) => each.batch === batch)?.holders ?? [];
  return { id, batch, repository: repositoryName, repositoryId: repository, outcome, generation, decidedBy, decidedAt, promises };
}
