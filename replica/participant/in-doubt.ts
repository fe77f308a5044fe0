import { asTrivetError } from '@trivet/proto/errors.ts';
import type { Replica } from '../repository/replica.ts';
import type { Controllers } from './controllers.ts';
import type { Participant } from './participant.ts';

/** Told about every promise that this node had to ask about, and about every question that got no answer. */
export interface InDoubtEvents {
  settled(repository: string, batch: string, outcome: 'commit' | 'abort'): void;
  unanswered(repository: string, batch: string, code: string): void;
}

/**
 * Settles promises whose coordinator has gone silent: once a promise is older than the deadline, a controller is asked
 * for the decision. One pass over all replicas in memory; a promise keeps its replica there.
 */
export class InDoubt {
  readonly #node: string;
  readonly #replicas: { readonly opened: Iterable<Replica> };
  readonly #participant: Participant;
  readonly #controllers: Pick<Controllers, 'settle'>;
  readonly #events: InDoubtEvents;
  readonly #asking = new Set<string>();

  constructor(
    node: string, replicas: { readonly opened: Iterable<Replica> }, participant: Participant,
    controllers: Pick<Controllers, 'settle'>, events: InDoubtEvents,
  ) {
    this.#node = node;
    this.#replicas = replicas;
    this.#participant = participant;
    this.#controllers = controllers;
    this.#events = events;
  }

  async settleOlderThan(madeBeforeElapsedMs: number): Promise<void> {
    const old = [...this.#replicas.opened].filter((replica) => replica.promise !== undefined && replica.promise.madeAtElapsedMs < madeBeforeElapsedMs);
    await Promise.all(old.map((replica) => this.settle(replica)));
  }

  /** Asks once for the decision on the promise that is held, if there is one, and carries it out. Never rejects. */
  async settle(replica: Replica): Promise<void> {
    const record = replica.promise?.record;
    if (record === undefined || this.#asking.has(record.batch)) return;
    this.#asking.add(record.batch);
    try {
      const settled = await this.#controllers.settle({
        node: this.#node, repository: record.repository, batch: record.batch, transactions: record.transactions,
      });
      // The coordinator may have come back meanwhile; both are idempotent.
      if (settled.outcome === 'commit') await this.#participant.commit(replica, { batch: record.batch, after: settled.after });
      else await this.#participant.abort(replica, { batch: record.batch, transactions: record.transactions });
      this.#events.settled(record.repository, record.batch, settled.outcome);
    } catch (error) {
      const { code } = asTrivetError(error);
      if (code === 'promise_differs') this.#events.settled(record.repository, record.batch, 'abort');
      else this.#events.unanswered(record.repository, record.batch, code);
    } finally {
      this.#asking.delete(record.batch);
    }
  }
}
