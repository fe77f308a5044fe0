import { randomBytes } from 'node:crypto';
import type { Clock } from '@trivet/proto/clock.ts';
import { isZeroOid } from '@trivet/proto/object-format.ts';
import { voteDigest } from '@trivet/proto/vote.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type {
  AbortRequest, CommitRequest, PrepareAnswer, PrepareRequest, ReplicaPosition, VoteAnswer, VoteHeader,
} from '@trivet/proto/messages.ts';
import type { Ingest } from '../quarantine/ingest.ts';
import { isAncestor } from '../git/ancestry.ts';
import { planBatch } from '../refs/plan.ts';
import { quarantineDirectory } from '../repository/layout.ts';
import type { Replica, Vote } from '../repository/replica.ts';
import type { Journal, PromiseRecord } from './journal.ts';
import { promises } from './promises.ts';
import { lookingWhile } from './room.ts';
import { judgeCommands, judgeHead } from './verdicts.ts';

export interface ParticipantOptions {
  catchUpMs: number;
  /** Votes a replica keeps at most; a push that would be one more is refused. */
  maxVotes: number;
  /** Whether the journal can take promises and the disk has room for more than those. */
  isWritable: () => boolean;
}

/**
 * A node's part in a transaction.
 *
 *   (nothing) --vote--> voted --prepare--> prepared --commit--> (committed)
 *                         |                    `-----abort----> (aborted)
 *                         `---abort, expiry--> (nothing)
 *
 * voted: objects in quarantine, nothing locked, any number at a time; a crash forgets it.
 * prepared: objects in the store, refs locked, the promise on the disk; survives everything. It ends only by the
 * decision, brought by the coordinator or asked for by this node.
 */
export class Participant {
  readonly #ingest: Pick<Ingest, 'ingest'>;
  readonly #journal: Pick<Journal, 'append'>;
  readonly #failpoint: Failpoint;
  readonly #options: ParticipantOptions;
  readonly #clock: Clock;

  constructor(
    ingest: Pick<Ingest, 'ingest'>, journal: Pick<Journal, 'append'>, failpoint: Failpoint, clock: Clock, options: ParticipantOptions,
  ) {
    this.#ingest = ingest;
    this.#clock = clock;
    this.#journal = journal;
    this.#failpoint = failpoint;
    this.#options = options;
  }

  /**
   * Takes the pack into quarantine and says what this replica would do with the push.
   * @param pack undefined when the push only deletes
   * @throws TrivetError replica_behind, too_busy, unknown_transaction (a transaction that voted already), disk_failure, also
   *   when the disk is nearly full: the rest belongs to what was voted before
   */
  async vote(
    replica: Replica, header: VoteHeader, pack: AsyncIterable<Buffer> | undefined, signal: AbortSignal,
  ): Promise<VoteAnswer> {
    if (replica.votes.size >= this.#options.maxVotes) throw new TrivetError('too_busy', { votes: replica.votes.size });
    this.#expectWritable();
    await replica.reach(header.generation, this.#options.catchUpMs);
    await this.#failpoint('vote-begin');
    const tips = [...new Set(header.commands.map((command) => command.new).filter((oid) => !isZeroOid(oid)))];
    // A name of its own for each attempt: an aborted one may still be cleaning up.
    const quarantineDir = `${quarantineDirectory(replica.gitDir, header.transaction)}-${randomBytes(4).toString('hex')}`;
    const result = await this.#ingest.ingest({
      gitDir: replica.gitDir,
      objectFormat: replica.objectFormat,
      quarantineDir,
      pack: pack === undefined ? undefined : lookingWhile(pack, () => this.#expectWritable()),
      tips,
      signal,
    });
    if (!result.ok) {
      const verdicts = [...header.commands, ...(header.head === undefined ? [] : [header.head])].map(() => 'unpacker error');
      return { vote: voteDigest(header.transaction, header.commands, verdicts, header.head), verdicts, unpack: result.reason };
    }
    const { quarantine } = result;
    try {
      this.#expectWritable();
      const verdicts = await judgeCommands(header.commands, header.policy, {
        typeOf: (oid) => quarantine.typeOf(oid),
        isAncestor: async (ancestor, descendant) => isAncestor(replica.gitDir, await quarantine.objectDirectory(), ancestor, descendant, signal),
      });
      if (header.head !== undefined) verdicts.push(judgeHead(header.head));
      signal.throwIfAborted();
      // A vote that came twice: the first one's objects must not be forgotten in their quarantine.
      if (replica.votes.has(header.transaction)) throw new TrivetError('unknown_transaction', { transaction: header.transaction, problem: 'it has voted already' });
      // A repair has put another directory in the place of this one meanwhile.
      if (replica.retired) throw new TrivetError('replica_busy', { repository: replica.id });
      replica.votes.set(header.transaction, {
        transaction: header.transaction,
        commands: header.commands,
        ...(header.head === undefined ? {} : { head: header.head }),
        atomic: header.atomic,
        verdicts,
        quarantine,
        votedAtElapsedMs: this.#clock.elapsed(),
      });
      // Whoever asked is gone without the answer, so nobody will come back for this vote.
      signal.addEventListener('abort', () => { void this.#forgetUnlessPromised(replica, header.transaction); }, { once: true });
      await this.#failpoint('vote-answer');
      return { vote: voteDigest(header.transaction, header.commands, verdicts, header.head), verdicts, unpack: 'ok' };
    } catch (error) {
      if (replica.votes.get(header.transaction)?.quarantine === quarantine) replica.votes.delete(header.transaction);
      await quarantine.discard();
      throw error;
    }
  }

  /**
   * Promises to commit a batch: objects in the store, refs locked, the promise on the disk.
   * Asking again for the same batch gives the same answer.
   * @throws TrivetError replica_busy, replica_behind, replica_ahead, unknown_transaction, aborted, disk_failure
   */
  async prepare(replica: Replica, request: PrepareRequest): Promise<PrepareAnswer> {
    await replica.reach(request.generation, this.#options.catchUpMs);
    return replica.exclusively(async () => {
      if (replica.promise?.record.batch === request.batch) return replica.promise.answer;
      // An abort overtook its prepare: to promise now would leave a promise that nobody comes for.
      if (replica.outcomeOf(request.batch) !== undefined) throw new TrivetError('aborted', { batch: request.batch });
      if (replica.promise !== undefined) {
        throw new TrivetError('replica_busy', { repository: replica.id, holds: replica.promise.record.batch });
      }
      if (replica.generation !== request.generation) {
        throw new TrivetError('replica_ahead', { asked: request.generation, holds: replica.generation });
      }
      return this.#promise(replica, request);
    });
  }

  /**
   * Makes the refs of a promised batch visible, if what was decided is what was promised here. If it isn't, this replica was
   * at odds with the quorum, and the abort that told it so was lost: the promise is undone.
   * @returns what the replica really has afterwards
   * @throws TrivetError unknown_transaction when the batch isn't promised here and wasn't committed lately; promise_differs
   */
  async commit(replica: Replica, { batch, after }: CommitRequest): Promise<ReplicaPosition> {
    await this.#failpoint('commit-begin');
    return replica.exclusively(async () => {
      const { promise } = replica;
      if (promise?.record.batch !== batch) {
        if (replica.outcomeOf(batch) === 'commit') return replica.position;
        throw new TrivetError('unknown_transaction', { batch });
      }
      if (!promises(promise.record, after)) {
        await promise.refs.abort();
        await this.#settle(replica, promise.record, 'abort');
        await Promise.all(promise.record.transactions.map((transaction) => this.#forget(replica, transaction)));
        throw new TrivetError('promise_differs', { batch, promised: promise.record.after, decided: after });
      }
      await promise.refs.commit();
      await this.#failpoint('commit-refs');
      await this.#settle(replica, promise.record, 'commit');
      await this.#failpoint('commit-answer');
      return replica.position;
    });
  }

  /** Undoes a promise and forgets votes. Batches and transactions that aren't known here are no fault. */
  async abort(replica: Replica, request: AbortRequest): Promise<void> {
    await replica.exclusively(async () => {
      const { promise } = replica;
      if (request.batch !== undefined) {
        if (promise?.record.batch === request.batch) {
          await promise.refs.abort();
          await this.#settle(replica, promise.record, 'abort');
        } else if (replica.outcomeOf(request.batch) === undefined) {
          replica.rememberOutcome(request.batch, 'abort');
        }
      }
      await Promise.all(request.transactions.map((transaction) => this.#forget(replica, transaction)));
    });
  }

  /** Forgets the votes that were given before `votedBeforeElapsedMs` and never prepared. */
  async expireVotes(replica: Replica, votedBeforeElapsedMs: number): Promise<void> {
    const promised = new Set(replica.promise?.record.transactions);
    for (const vote of replica.votes.values()) {
      if (vote.votedAtElapsedMs < votedBeforeElapsedMs && !promised.has(vote.transaction)) await this.#forget(replica, vote.transaction);
    }
  }

  #expectWritable(): void {
    if (!this.#options.isWritable()) throw new TrivetError('disk_failure', { problem: 'there is no room for another push, or the journal can not be written' });
  }

  async #promise(replica: Replica, request: PrepareRequest): Promise<PrepareAnswer> {
    const votes = request.transactions.map((transaction) => {
      const vote = replica.votes.get(transaction);
      if (vote === undefined) throw new TrivetError('unknown_transaction', { transaction });
      return vote;
    });
    const plan = planBatch(replica.refs, votes);
    const before = replica.position;
    const head = plan.change.head?.new ?? replica.refs.head;
    if (plan.generations === 0) {
      return { before: before.digest, after: before.digest, generation: before.generation, head, verdicts: plan.verdicts, promised: false };
    }
    await this.#failpoint('prepare-begin');
    const moving = votes.filter((_, i) => plan.verdicts[i]!.includes('ok'));
    const migrated = Promise.all(moving.map((vote: Vote) => vote.quarantine.migrate()));
    // Locking refs and moving objects don't need each other, but the promise needs both.
    const [refs] = await Promise.allSettled([replica.refs.prepare(plan.change), migrated]).then(([locked, moved]) => {
      if (locked.status === 'rejected') throw locked.reason;
      if (moved.status === 'rejected') return locked.value.abort().then(() => { throw moved.reason; });
      return [locked.value] as const;
    });
    const after = { generation: before.generation + plan.generations, digest: refs.digestAfter };
    const record: PromiseRecord = {
      kind: 'promise', repository: replica.id, batch: request.batch, transactions: request.transactions, before, after, change: plan.change,
    };
    const answer: PrepareAnswer = {
      before: before.digest, after: after.digest, generation: after.generation, head, verdicts: plan.verdicts, promised: true,
    };
    // Held before it is written: a journal that changes files meanwhile must carry it over.
    replica.promise = { record, refs, answer, coordinator: request.coordinator, madeAtElapsedMs: this.#clock.elapsed() };
    try {
      await this.#journal.append(record, true);
    } catch (error) {
      replica.promise = undefined;
      await refs.abort();
      throw error;
    }
    await this.#failpoint('prepare-promised');
    return answer;
  }

  /** The promise's end: position, outcome and journal in that order, then the votes that belong to it. */
  async #settle(replica: Replica, record: PromiseRecord, outcome: 'commit' | 'abort'): Promise<void> {
    replica.promise = undefined;
    replica.rememberOutcome(record.batch, outcome);
    if (outcome === 'commit') {
      replica.advance(record.after.generation);
      await Promise.all(record.transactions.map((transaction) => this.#forget(replica, transaction)));
    }
    // Not durable: if it is lost, the decision is asked for again and applying it twice changes nothing.
    void this.#journal.append({ kind: outcome === 'commit' ? 'committed' : 'aborted', repository: record.repository, batch: record.batch }, false)
      .catch(() => {});
  }

  async #forgetUnlessPromised(replica: Replica, transaction: string): Promise<void> {
    // What can't be removed now is removed at the next start.
    if (!replica.promise?.record.transactions.includes(transaction)) await this.#forget(replica, transaction).catch(() => {});
  }

  async #forget(replica: Replica, transaction: string): Promise<void> {
    const vote = replica.votes.get(transaction);
    replica.votes.delete(transaction);
    await vote?.quarantine.discard();
  }
}
