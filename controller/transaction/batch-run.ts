import type { Clock } from '@trivet/proto/clock.ts';
import { asTrivetError, TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import type { CommitRequest, PrepareAnswer, PrepareRequest, ReplicaPosition } from '@trivet/proto/messages.ts';
import { OK, type Verdict } from '@trivet/proto/vote.ts';
import type { Deadlines } from '../config.ts';
import type { Silences } from '../nodes/silence.ts';
import type { Settled } from '../store/decisions.ts';
import type { Route } from '../store/rows.ts';
import type { TransactionEvents, VotedTransaction } from './coordinator.ts';
import { outstanding, startBatch, step, type Agreed, type BatchEffect, type BatchEvent, type BatchResult, type BatchState } from './machine.ts';
import { quorumOf } from './quorum.ts';

/** What became of one transaction of a batch. */
export type BatchOutcome =
  | { outcome: 'committed'; verdicts: Verdict[]; copies: number }
  | { outcome: 'unknown' }
  | { outcome: 'failed'; code: ErrorCode; fields: Record<string, unknown>; again?: boolean };

/** What a batch needs of the world; the simulation gives it another one. */
export interface BatchPorts {
  route(repository: string): Promise<Route | undefined>;
  prepare(repository: string, node: string, message: PrepareRequest, deadlineMs: number): Promise<PrepareAnswer>;
  commit(repository: string, node: string, message: CommitRequest, deadlineMs: number): Promise<ReplicaPosition>;
  /** Undoes a promise; not waited for, since a node that doesn't hear it asks by itself. */
  abort(repository: string, node: string, batch: string): void;
  /** Forgets votes; not waited for. */
  forget(repository: string, nodes: readonly string[], transaction: string): void;
  decide(input: {
    repository: string; batch: string; transactions: readonly string[];
    before: { generation: number; digest: string }; after: { generation: number; digest: string; head: string };
    promised: readonly string[]; events: readonly { kind: string; payload: object }[];
  }): Promise<'committed' | 'refused'>;
  /** Learns or forces the outcome of a decision whose answer was lost. */
  settle(input: { repository: string; batch: string; transactions: readonly string[] }): Promise<Settled>;
  /** Those of these transactions that have a decision already, and which. */
  decided(transactions: readonly string[]): Promise<ReadonlyMap<string, 'commit' | 'abort'>>;
  /** From 0 to 1. */
  random(): number;
  /** Names this process to the nodes. */
  readonly coordinator: string;
  /** @param upTo what is at a later generation by then is left alone */
  mark(repository: string, nodes: readonly string[], state: 'outdated' | 'diverged', reason: string, upTo?: number): Promise<void>;
  clock: Clock;
  silence: Silences;
  /** An id for a transaction or a batch. */
  newId(): string;
  failpoint(name: string): Promise<void>;
}

/** Codes of a failed prepare that pass by themselves. */
const PASSING = new Set(['replica_busy', 'replica_behind', 'replica_ahead']);
const SETTLE_RETRY_MS = 200;

/** Drives the machine for one batch: runs its effects against the ports and feeds back what happened. */
export class BatchRun {
  readonly #ports: BatchPorts;
  readonly #deadlines: Deadlines;
  readonly #events: TransactionEvents;
  #state!: BatchState;
  #pending: BatchEvent[] = [];
  #wake: (() => void) | undefined;
  #phaseStartedAt = 0;

  constructor(ports: BatchPorts, deadlines: Deadlines, events: TransactionEvents) {
    this.#ports = ports;
    this.#deadlines = deadlines;
    this.#events = events;
  }

  /** @returns the outcome of each entry, in their order */
  async run(repository: string, batch: string, entries: readonly VotedTransaction[]): Promise<BatchOutcome[]> {
    const route = await this.#ports.route(repository);
    if (route === undefined || route.repository.state === 'trashed') return failed(entries, 'repository_not_found', {});
    const current = new Set(route.replicas.filter((replica) => replica.state === 'current').map((replica) => replica.node));
    const participants = entries[0]!.winners.filter((node) => current.has(node));
    const configured = route.repository.replicationFactor;
    if (participants.length < quorumOf(configured)) return failed(entries, 'no_quorum', { current: participants });
    const context = { route, batch, entries, transactions: entries.map((entry) => entry.transaction) };
    const [state, effects] = startBatch({ configured, participants });
    const result = await this.#drive(context, state, effects);
    return outcomesOf(result, entries);
  }

  async #drive(context: RunContext, state: BatchState, effects: readonly BatchEffect[]): Promise<BatchResult> {
    this.#state = state;
    let result = await this.#perform(context, effects);
    while (result === undefined) {
      if (this.#pending.length === 0) await new Promise<void>((resolve) => { this.#wake = resolve; });
      for (let event = this.#pending.shift(); event !== undefined && result === undefined; event = this.#pending.shift()) {
        result = await this.#take(context, event);
      }
    }
    return result;
  }

  async #take(context: RunContext, event: BatchEvent): Promise<BatchResult | undefined> {
    const [next, effects] = step(this.#state, event);
    this.#state = next;
    return this.#perform(context, effects);
  }

  async #perform(context: RunContext, effects: readonly BatchEffect[]): Promise<BatchResult | undefined> {
    for (const effect of effects) {
      switch (effect.type) {
        case 'prepare':
          await this.#ports.failpoint('prepare-begin');
          this.#prepare(context, effect.nodes);
          break;
        case 'start-grace': this.#startGrace(effect.phase); break;
        case 'decide': this.#endPhase('prepare'); await this.#decide(context, effect.agreed); break;
        case 'commit': this.#endPhase('decide'); this.#commit(context, effect); break;
        case 'abort': for (const node of effect.nodes) this.#ports.abort(context.route.repository.id, node, context.batch); break;
        case 'mark': await this.#mark(context, effect); break;
        case 'finish':
          if (effect.result.outcome === 'committed') {
            this.#endPhase('commit');
            await this.#ports.failpoint('commit-end');
          }
          return effect.result;
      }
    }
    return undefined;
  }

  #prepare(context: RunContext, nodes: readonly string[]): void {
    this.#phaseStartedAt = this.#ports.clock.elapsed();
    const { repository } = context.route;
    const message = { batch: context.batch, transactions: context.transactions, generation: repository.generation, coordinator: this.#ports.coordinator };
    for (const node of nodes) {
      this.#ports.prepare(repository.id, node, message, this.#deadlines.prepareMs).then(
        (answer) => this.#feed(context, { type: 'prepared', node, answer }),
        (error: unknown) => this.#feed(context, { type: 'prepare-failed', node, code: asTrivetError(error).code }),
      );
    }
  }

  #commit(context: RunContext, { nodes, after }: BatchEffect & { type: 'commit' }): void {
    const message = { batch: context.batch, after };
    for (const node of nodes) {
      this.#ports.commit(context.route.repository.id, node, message, this.#deadlines.commitMs).then(
        (position) => this.#feed(context, { type: 'committed', node, position }),
        (error: unknown) => this.#feed(context, { type: 'commit-failed', node, code: asTrivetError(error).code }),
      );
    }
  }

  #startGrace(phase: 'prepare' | 'commit'): void {
    const started = this.#state.phase;
    const over = () => {
      cancel();
      endLate();
      if (this.#state.phase === started) this.#feedNow({ type: 'grace-over' });
    };
    const cancel = this.#ports.clock.after(phase === 'prepare' ? this.#deadlines.prepareGraceMs : this.#deadlines.commitGraceMs, over);
    let endLate = () => {};
    endLate = this.#ports.silence.late(() => (this.#state.phase === started ? outstanding(this.#state) : []), over);
  }

  async #decide(context: RunContext, agreed: Agreed): Promise<void> {
    const { repository } = context.route;
    const { batch, transactions } = context;
    await this.#ports.failpoint('decide-begin');
    let decision: 'committed' | 'refused' | 'unknown';
    try {
      decision = await this.#ports.decide({
        repository: repository.id, batch, transactions,
        before: { generation: repository.generation, digest: agreed.answer.before },
        after: { generation: agreed.answer.generation, digest: agreed.answer.after, head: agreed.answer.head },
        promised: agreed.promised,
        events: context.entries.map((entry, i) => pushEvent(entry, agreed.answer.verdicts[i]!)),
      });
    } catch (error) {
      // Surely not applied is a refusal. Anything else is in doubt until SQL says.
      decision = error instanceof TrivetError && error.code === 'store_unavailable' ? 'refused' : await this.#learn(context);
    }
    await this.#ports.failpoint('decide-end');
    this.#feedNow({ type: 'decided', decision });
  }

  /** Asks SQL how it ended, forcing an abort if nobody has decided, until the deadline of the phase. */
  async #learn(context: RunContext): Promise<'committed' | 'refused' | 'unknown'> {
    const deadline = this.#ports.clock.elapsed() + this.#deadlines.decideMs;
    while (this.#ports.clock.elapsed() < deadline) {
      try {
        const { outcome } = await this.#ports.settle({ repository: context.route.repository.id, batch: context.batch, transactions: context.transactions });
        return outcome === 'commit' ? 'committed' : 'refused';
      } catch {
        await this.#ports.clock.sleep(SETTLE_RETRY_MS);
      }
    }
    return 'unknown';
  }

  /** The outcome stands whether or not this can be recorded: reads name the generation, and repair compares positions. */
  async #mark(context: RunContext, effect: BatchEffect & { type: 'mark' }): Promise<void> {
    // No further than this batch can have come.
    const upTo = context.route.repository.generation + context.transactions.length;
    await this.#ports.mark(context.route.repository.id, effect.nodes, effect.state, effect.reason, upTo).catch(() => {});
  }

  #endPhase(phase: 'prepare' | 'decide' | 'commit'): void {
    const now = this.#ports.clock.elapsed();
    this.#events.phase(phase, now - this.#phaseStartedAt);
    this.#phaseStartedAt = now;
  }

  /** An answer. Once the batch is finished nobody waits any more, but a late promise must still be undone. */
  #feed(context: RunContext, event: BatchEvent): void {
    if (this.#state.phase === 'finished') void this.#take(context, event);
    else this.#feedNow(event);
  }

  #feedNow(event: BatchEvent): void {
    this.#pending.push(event);
    this.#wake?.();
  }
}

interface RunContext {
  route: Route;
  batch: string;
  entries: readonly VotedTransaction[];
  transactions: string[];
}

function outcomesOf(result: BatchResult, entries: readonly VotedTransaction[]): BatchOutcome[] {
  switch (result.outcome) {
    case 'committed': return entries.map((_, i) => {
      const verdicts = result.answer.verdicts[i]!;
      // Others of the batch moved something; a push that was refused as a whole is stored nowhere.
      return { outcome: 'committed', verdicts, copies: verdicts.includes(OK) ? result.copies : 0 };
    });
    case 'nothing': return entries.map((_, i) => ({ outcome: 'committed', verdicts: result.answer.verdicts[i]!, copies: 0 }));
    case 'unknown': return entries.map(() => ({ outcome: 'unknown' }));
    // Somebody else's decision came first; seen from a fresh route it may well succeed.
    case 'refused': return failed(entries, 'aborted', {}, true);
    case 'no-quorum': {
      const passing = Object.values(result.codes).some((code) => PASSING.has(code));
      return failed(entries, passing ? 'replica_busy' : 'no_quorum', { nodes: result.codes }, passing);
    }
  }
}

function failed(entries: readonly VotedTransaction[], code: ErrorCode, fields: Record<string, unknown>, again?: boolean): BatchOutcome[] {
  return entries.map(() => ({ outcome: 'failed', code, fields, again }));
}

function pushEvent(entry: VotedTransaction, verdicts: readonly Verdict[]): { kind: string; payload: object } {
  const refs = entry.head.commands.filter((_, i) => verdicts[i] === OK);
  const { commands, defaultBranch } = entry.head;
  const moved = defaultBranch !== undefined && verdicts[commands.length] === OK ? { defaultBranch } : {};
  return { kind: 'push', payload: { transaction: entry.transaction, refs: refs.length, first: refs.slice(0, 10), ...moved } };
}
