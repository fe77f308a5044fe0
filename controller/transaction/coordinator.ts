import PQueue from 'p-queue';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { PushHead } from '@trivet/proto/receive-pack.ts';
import { expectsPack } from '@trivet/proto/receive-pack.ts';
import { OK, type Verdict } from '@trivet/proto/vote.ts';
import type { Deadlines, Limits } from '../config.ts';
import type { KnownNode, NodeRegistry } from '../nodes/node-registry.ts';
import type { Replica, Route } from '../store/rows.ts';
import { BatchRun, type BatchOutcome, type BatchPorts } from './batch-run.ts';
import { OBJECTS_IN_DOUBT } from './machine.ts';
import { quorumOf } from './quorum.ts';
import type { Turns } from './turns.ts';
import { runVotes, type VoteRound } from './vote-round.ts';

/** A batch whose nodes were busy or behind is tried again so often, with these pauses. */
const RETRY_MS = [5, 20, 50, 100, 200, 400, 800, 1_600, 3_000];

/** What a transaction shall do. What no git client can ask for, other parts of the controller do. */
export interface Change extends PushHead {
  /** The branch that HEAD shall point at afterwards. */
  defaultBranch?: string;
}

/** What became of a push, for the report to the client. */
export interface PushResult {
  unpack: string;
  /** In the order of the commands; behind them, the one on the default branch. */
  verdicts: Verdict[];
  /** Nodes on whose disks the push is; 0 when nothing was committed. */
  copies: number;
}

/** A push whose vote was won and that waits for its turn. */
export interface VotedTransaction {
  transaction: string;
  head: Change;
  winners: readonly string[];
  /** Whether the client is still there; a push without a client isn't prepared. */
  signal: AbortSignal;
  finish(outcome: BatchOutcome): void;
}

/** One function for everything worth a log line and a metric. */
export interface TransactionEvents {
  phase(phase: 'vote' | 'turn' | 'prepare' | 'decide' | 'commit', tookMs: number): void;
  voteLost(repository: string, transaction: string, node: string, code: string): void;
  batch(repository: string, batch: string, transactions: number, outcome: string): void;
}

/**
 * Carries a push through its transaction: route and vote here, then in the repository's turn the batch (prepare,
 * decide, commit) in `BatchRun`. Holds nothing that must survive this process.
 */
export class Coordinator {
  readonly #nodes: NodeRegistry;
  readonly #ports: BatchPorts;
  readonly #turns: Turns<VotedTransaction>;
  readonly #deadlines: Deadlines;
  readonly #limits: Limits;
  readonly #events: TransactionEvents;
  readonly #pushes: PQueue;

  constructor(input: {
    nodes: NodeRegistry; ports: BatchPorts; turns: Turns<VotedTransaction>;
    deadlines: Deadlines; limits: Limits; events: TransactionEvents;
  }) {
    this.#nodes = input.nodes;
    this.#ports = input.ports;
    this.#turns = input.turns;
    this.#deadlines = input.deadlines;
    this.#limits = input.limits;
    this.#events = input.events;
    this.#pushes = new PQueue({ concurrency: input.limits.maxConcurrentPushes });
  }

  /** Pushes that aren't at their end yet, with or without a client. */
  get running(): number {
    return this.#pushes.pending + this.#pushes.size;
  }

  /** Pushes in the vote phase. */
  get voting(): number {
    return this.#pushes.pending;
  }

  /**
   * Who can take part: current replicas on nodes that can be used. A silent one is left out where the others are enough.
   * @throws TrivetError no_quorum, naming the nodes that are missing and why
   */
  participants(route: Route): KnownNode[] {
    const usable = route.replicas.filter((replica) => replica.state === 'current')
      .map((replica) => this.#nodes.writable(replica.node)).filter((node) => node !== undefined);
    const quorum = quorumOf(route.repository.replicationFactor);
    if (usable.length < quorum) {
      throw new TrivetError('no_quorum', { repository: route.repository.name, quorum, missing: this.#missing(route.replicas) });
    }
    const heard = usable.filter((node) => !this.#ports.silence.has(node.id));
    return heard.length >= quorum ? heard : usable;
  }

  /**
   * Runs a push to its end.
   * @param pack what follows the commands in the body; not read when there is no pack to expect
   * @param signal the client left: heeded until the turn comes, after which the push is finished as if it were there
   * @throws TrivetError no_quorum, too_busy, outcome_unknown, aborted, and what reading the pack threw
   */
  async push(route: Route, head: Change, pack: AsyncIterable<Buffer>, signal: AbortSignal): Promise<PushResult> {
    if (this.#pushes.size >= this.#limits.maxConcurrentPushes) throw new TrivetError('too_busy', { waiting: this.#pushes.size });
    return await this.#pushes.add(() => this.#enter(route, head, pack, signal)) as PushResult;
  }

  /** Through the repository's gate, so that a replica that is being admitted takes part in this push's vote. */
  async #enter(known: Route, head: Change, pack: AsyncIterable<Buffer>, signal: AbortSignal): Promise<PushResult> {
    const { id, name } = known.repository;
    const inside = await this.#turns.enter(id);
    try {
      const route = inside.stale ? await this.#ports.route(id) : known;
      if (route === undefined || route.repository.state === 'trashed') throw new TrivetError('repository_not_found', { repository: name });
      return await this.#push(route, head, pack, signal);
    } finally {
      inside.leave();
    }
  }

  async #push(route: Route, head: Change, pack: AsyncIterable<Buffer>, signal: AbortSignal): Promise<PushResult> {
    const transaction = this.#ports.newId();
    const participants = this.participants(route);
    const round = await this.#vote(route, transaction, participants, head, pack, signal);
    const { agreed } = round;
    if (agreed === undefined) {
      this.#forget(route, participants, transaction);
      throw new TrivetError('no_quorum', { repository: route.repository.name, quorum: quorumOf(route.repository.replicationFactor), lost: round.lost, differing: round.differing });
    }
    await this.#ports.failpoint('vote-end');
    this.#forget(route, participants.filter((node) => !round.winners.includes(node.id)), transaction);
    const atomic = head.capabilities.has('atomic');
    if (!agreed.verdicts.includes(OK) || (atomic && agreed.verdicts.some((verdict) => verdict !== OK))) {
      this.#forget(route, participants, transaction);
      const verdicts = agreed.verdicts.map((verdict) => (verdict === OK ? 'atomic transaction failed' : verdict));
      return { unpack: agreed.unpack, verdicts, copies: 0 };
    }
    const outcome = await this.#turn(route, { transaction, head, winners: round.winners, signal });
    switch (outcome.outcome) {
      case 'committed': return { unpack: agreed.unpack, verdicts: outcome.verdicts, copies: outcome.copies };
      case 'unknown': throw new TrivetError('outcome_unknown', { repository: route.repository.name, transaction });
      case 'failed': throw new TrivetError(outcome.code, { repository: route.repository.name, transaction, ...outcome.fields });
    }
  }

  async #vote(
    route: Route, transaction: string, participants: readonly KnownNode[], head: Change, pack: AsyncIterable<Buffer>, signal: AbortSignal,
  ): Promise<VoteRound> {
    const { repository } = route;
    const hasPack = expectsPack(head.commands);
    const startedAt = this.#ports.clock.elapsed();
    try {
      const round = await runVotes({
        repository: repository.id,
        configured: repository.replicationFactor,
        participants,
        header: {
          transaction, commands: head.commands, ...(head.defaultBranch === undefined ? {} : { head: head.defaultBranch }),
          atomic: head.capabilities.has('atomic'), policy: repository.policy,
          generation: repository.generation, pack: hasPack,
        },
        pack: hasPack ? pack : undefined,
        signal,
        clock: this.#ports.clock,
        silence: this.#ports.silence,
        stallMs: this.#deadlines.voteStallMs,
        graceMs: this.#deadlines.voteGraceMs,
        deadlineMs: this.#deadlines.voteMs,
      });
      for (const [node, code] of Object.entries(round.lost)) {
        // A silent node is left out already, more gently: it may be heard again before its next heartbeat.
        const late = code === 'phase_timeout' && !this.#ports.silence.has(node);
        if (code === 'node_unreachable' || code === 'shutting_down' || late) this.#nodes.suspect(node, code);
        this.#events.voteLost(repository.id, transaction, node, code);
      }
      for (const node of round.differing) this.#events.voteLost(repository.id, transaction, node, 'differs');
      if (round.agreed !== undefined) {
        await this.#markDoubtful(repository.id, round.differing, 'voted differently from the quorum');
        await this.#markDoubtful(repository.id, Object.keys(round.lost).filter((node) => OBJECTS_IN_DOUBT.has(round.lost[node]!)), 'could not judge what the quorum judged');
      }
      return round;
    } catch (error) {
      this.#forget(route, participants, transaction);
      throw error;
    } finally {
      this.#events.phase('vote', this.#ports.clock.elapsed() - startedAt);
    }
  }

  /** What can't be recorded now is found by the next push, or by verification: no reason to fail this one. */
  async #markDoubtful(repository: string, nodes: readonly string[], reason: string): Promise<void> {
    if (nodes.length > 0) await this.#ports.mark(repository, nodes, 'diverged', reason).catch(() => {});
  }

  async #turn(route: Route, voted: Omit<VotedTransaction, 'finish'>): Promise<BatchOutcome> {
    const queuedAt = this.#ports.clock.elapsed();
    return new Promise((resolve) => {
      const joined = this.#turns.join(route.repository.id, { ...voted, finish: resolve }, async (waiting) => {
        this.#events.phase('turn', this.#ports.clock.elapsed() - queuedAt);
        await this.#runBatch(route.repository.id, waiting);
      });
      if (!joined) resolve({ outcome: 'failed', code: 'too_busy', fields: {} });
    });
  }

  /** Takes out of the line what can be prepared together, and runs it; never throws, for each has its own `finish`. */
  async #runBatch(repository: string, waiting: VotedTransaction[]): Promise<void> {
    const [first] = waiting;
    const together = waiting.filter((entry) => sameNodes(entry.winners, first!.winners)).slice(0, this.#limits.maxBatch);
    for (const entry of together) waiting.splice(waiting.indexOf(entry), 1);
    const [present, gone] = [together.filter((entry) => !entry.signal.aborted), together.filter((entry) => entry.signal.aborted)];
    for (const entry of gone) {
      this.#ports.forget(repository, entry.winners, entry.transaction);
      entry.finish({ outcome: 'failed', code: 'aborted', fields: { reason: 'the client left' } });
    }
    if (present.length === 0) return;
    let outcomes: BatchOutcome[];
    try {
      outcomes = await this.#withRetries(repository, present);
    } catch (error) {
      const code = error instanceof TrivetError ? error.code : 'internal';
      outcomes = present.map(() => ({ outcome: 'failed', code, fields: error instanceof TrivetError ? error.fields : {} }));
      this.#events.batch(repository, '', present.length, code);
    }
    present.forEach((entry, i) => {
      const outcome = outcomes[i]!;
      // A node that voted and didn't promise still holds its vote: a commit without it takes only the others' away.
      const votesLeft = outcome.outcome === 'failed' || (outcome.outcome === 'committed' && outcome.copies < entry.winners.length);
      if (votesLeft) this.#ports.forget(repository, entry.winners, entry.transaction);
      entry.finish(outcome);
    });
  }

  /**
   * Runs the batch again while what stood in its way is expected to pass: another promise, a commit in flight. Who was
   * decided by somebody else meanwhile, such as a node that asked too early, can't be decided again and is left out.
   */
  async #withRetries(repository: string, entries: readonly VotedTransaction[]): Promise<BatchOutcome[]> {
    const { clock } = this.#ports;
    const deadline = clock.elapsed() + this.#deadlines.turnMs;
    const settled = new Map<VotedTransaction, BatchOutcome>();
    let open = [...entries];
    for (let attempt = 0; ; attempt++) {
      const batch = this.#ports.newId();
      const run = new BatchRun(this.#ports, this.#deadlines, this.#events);
      const outcomes = await run.run(repository, batch, open);
      this.#events.batch(repository, batch, open.length, outcomes[0]!.outcome === 'failed' ? outcomes[0]!.code : outcomes[0]!.outcome);
      open.forEach((entry, i) => settled.set(entry, outcomes[i]!));
      const pause = RETRY_MS[attempt];
      const again = outcomes.every((outcome) => outcome.outcome === 'failed' && outcome.again === true);
      if (!again || pause === undefined || clock.elapsed() + pause > deadline) break;
      const decided = await this.#ports.decided(open.map((entry) => entry.transaction)).catch(() => new Map<string, string>());
      // What was refused can't have been committed; should SQL say so all the same, nobody may hear of a failure.
      for (const entry of open) if (decided.get(entry.transaction) === 'commit') settled.set(entry, { outcome: 'unknown' });
      open = open.filter((entry) => !decided.has(entry.transaction));
      if (open.length === 0) break;
      // Not in step with another controller that was refused at the same moment.
      await clock.sleep(pause * (0.5 + this.#ports.random()));
    }
    return entries.map((entry) => settled.get(entry)!);
  }

  #forget(route: Route, nodes: readonly KnownNode[], transaction: string): void {
    this.#ports.forget(route.repository.id, nodes.map((node) => node.id), transaction);
  }

  #missing(replicas: readonly Replica[]): Record<string, string> {
    return Object.fromEntries(replicas.flatMap((replica) => {
      if (replica.state !== 'current') return [[replica.node, replica.state]];
      const node = this.#nodes.get(replica.node);
      if (node === undefined) return [[replica.node, 'unknown']];
      if (node.state === 'removed') return [[replica.node, 'removed']];
      if (node.healthy) return node.status?.writable === false ? [[replica.node, 'disk_failure']] : [];
      return [[replica.node, node.trouble ?? 'unhealthy']];
    }));
  }
}

function sameNodes(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((node) => b.includes(node));
}
