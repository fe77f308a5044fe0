import type { FastifyBaseLogger } from 'fastify';
import { ERRORS } from '@trivet/proto/errors.ts';
import type { ControllerMetrics, PushOutcome, TransactionPhase } from './metrics.ts';
import { addNode } from './metrics.ts';
import type { KnownNode, NodeEvents } from './nodes/node-registry.ts';
import type { PlacementEvents } from './placement/placement.ts';
import type { RemovalEvents } from './placement/removals.ts';
import type { Difference, PresenceEvents } from './presence.ts';
import type { Reason } from './routing/choose.ts';
import type { ReadEvents } from './routing/reader.ts';
import type { RepairEvents } from './repair/reconcile.ts';
import type { RepairResult } from './repair/repair.ts';
import type { VerificationEvents, VerificationResult } from './repair/verification.ts';
import type { ImportEvents } from './repositories/importing.ts';
import type { DataLossRecord, Import, NodeState, OutboxEvent, RepairJob } from './store/rows.ts';
import type { VerificationKind } from './store/verifications.ts';
import type { TransactionEvents } from './transaction/coordinator.ts';

const OUTCOME_LABELS = new Set(['committed', 'unknown', 'aborted']);

/** What happens in a controller, each thing told once: one function writes its log line and its metric. */
export class Events
implements NodeEvents, ReadEvents, TransactionEvents, RepairEvents, VerificationEvents, ImportEvents, PlacementEvents, RemovalEvents, PresenceEvents {
  readonly #log: FastifyBaseLogger;
  readonly #metrics: () => ControllerMetrics;

  /** @param metrics late, because some gauges read parts that are wired with these events */
  constructor(log: FastifyBaseLogger, metrics: () => ControllerMetrics) {
    this.#log = log;
    this.#metrics = metrics;
  }

  healthChanged(node: KnownNode): void {
    const metrics = this.#metrics();
    if (node.healthy) addNode(metrics, node.id);
    metrics.nodeHealthy.set({ node: node.id }, node.healthy ? 1 : 0);
    this.#log.warn({ node: node.id, healthy: node.healthy, trouble: node.trouble }, node.healthy ? 'node is back' : 'node is unhealthy');
  }

  /** A node that others waited for left a heartbeat unanswered, or answers again. */
  silenceChanged(node: string, silent: boolean): void {
    if (silent) this.#metrics().nodeSilences.inc({ node });
    this.#log.warn({ node, silent }, silent ? 'node is silent' : 'node is heard again');
  }

  clockChanged(node: string, clockSkewMs: number, wrong: boolean): void {
    this.#log.warn({ node, clockSkewMs }, wrong ? 'the clock of a node is wrong' : 'the clock of a node is right again');
  }

  clockSeen(node: KnownNode, skewMs: number): void {
    this.#metrics().nodeClockSkew.set({ node: node.id }, skewMs / 1000);
  }

  nodeStateChanged(node: string, state: NodeState): void {
    this.#log.warn({ node, state }, 'an operator changed the state of a node');
  }

  replicaAdded(repository: string, node: string, reason: string, detail: string): void {
    this.#metrics().placementSteps.inc({ step: 'add' });
    this.#log.info({ repository, node, reason, detail }, 'a repository gets a replica');
  }

  replicaTakenAway(repository: string, node: string, reason: string): void {
    this.#metrics().placementSteps.inc({ step: 'take_away' });
    this.#log.info({ repository, node, reason }, 'a replica is one no more');
  }

  factorSettled(repository: string, intended: number): void {
    this.#metrics().placementSteps.inc({ step: 'settle_factor' });
    this.#log.info({ repository, intended }, 'a replication factor came nearer to what it shall be');
  }

  unplaced(count: number): void {
    this.#metrics().unplaced.set(count);
    if (count > 0) this.#log.warn({ repositories: count }, 'for some replicas there is no node');
  }

  copyRemoved(repository: string, node: string): void {
    this.#metrics().copiesRemoved.inc({ outcome: 'ok' });
    this.#log.info({ repository, node }, 'a surplus copy was deleted');
  }

  copyNotRemoved(repository: string, node: string, code: string): void {
    this.#metrics().copiesRemoved.inc({ outcome: 'failed' });
    this.#log.warn({ repository, node, code }, 'a surplus copy was not deleted');
  }

  asked(node: string, reason: Reason, outcome: 'ok' | 'failed', code: string | undefined, requestId: string): void {
    this.#metrics().reads.inc({ node, reason, outcome });
    if (outcome === 'failed') this.#log.warn({ node, reason, code, requestId }, 'a read failed on this node');
    else this.#log.debug({ node, reason, requestId }, 'read');
  }

  phase(phase: TransactionPhase, tookMs: number): void {
    this.#metrics().phases.observe({ phase }, tookMs / 1000);
  }

  voteLost(repository: string, transaction: string, node: string, code: string): void {
    this.#metrics().votesLost.inc({ node, code: code in ERRORS || code === 'differs' ? code : 'internal' });
    this.#log.warn({ repository, transaction, node, code }, 'a replica lost its place in a push');
  }

  batch(repository: string, batch: string, transactions: number, outcome: string): void {
    const metrics = this.#metrics();
    metrics.batches.inc({ outcome: OUTCOME_LABELS.has(outcome) ? outcome : 'failed' });
    metrics.batchSize.observe(transactions);
    this.#log[outcome === 'committed' ? 'debug' : 'warn']({ repository, batch, transactions, outcome }, 'batch');
  }

  pushed(repository: string, outcome: PushOutcome, tookMs: number, copies: number, fields: Record<string, unknown>): void {
    const metrics = this.#metrics();
    metrics.pushes.inc({ outcome });
    metrics.pushSeconds.observe(tookMs / 1000);
    if (copies > 0) metrics.copies.inc({ copies: String(copies) });
    this.#log.info({ repository, outcome, copies, tookMs: Math.round(tookMs), ...fields }, 'push');
  }

  repaired(job: RepairJob, result: RepairResult, tookMs: number): void {
    const metrics = this.#metrics();
    metrics.repairs.inc({ outcome: 'ok', reason: job.reason, way: result.way });
    metrics.repairBytes.inc(result.bytes);
    metrics.repairObjects.inc(result.objects);
    if (result.way !== 'none') metrics.repairSeconds.observe({ way: result.way }, tookMs / 1000);
    this.#log.info({ ...describeJob(job), ...result, tookMs: Math.round(tookMs) }, 'replica repaired');
  }

  repairFailed(job: RepairJob, code: string, fields: Readonly<Record<string, unknown>>): void {
    this.#metrics().repairs.inc({ outcome: 'failed', reason: job.reason, way: 'none' });
    this.#log.warn({ ...describeJob(job), code, fields }, 'repair failed, to be tried again');
  }

  repairHandedOver(job: RepairJob): void {
    this.#metrics().repairs.inc({ outcome: 'handed_over', reason: job.reason, way: 'none' });
    this.#log.info(describeJob(job), 'repair handed over');
  }

  verified(repository: string, kind: VerificationKind, { node, result, detail, tookMs }: VerificationResult): void {
    this.#metrics().verifications.inc({ kind, result });
    this.#log[result === 'equal' ? 'debug' : 'warn']({ repository, node, kind, result, detail, tookMs: Math.round(tookMs) }, 'replica verified');
  }

  found(repository: string, node: string, kind: string, detail: string): void {
    this.#metrics().findings.inc({ kind });
    this.#log.error({ repository, node, kind, detail }, 'a replica is not what it should be');
  }

  dataLossAccepted(record: DataLossRecord): void {
    this.#metrics().dataLosses.inc();
    this.#log.error({ ...record }, 'an operator accepted the loss of acknowledged pushes');
  }

  settingsDiffer(other: string, differences: readonly Difference[]): void {
    this.#log.warn({ other, differences }, 'another controller was told something else: value is ours, newest is its');
  }

  controllersSeen(running: number, differing: number): void {
    this.#metrics().controllers.set({ settings: 'same' }, running - differing);
    this.#metrics().controllers.set({ settings: 'differing' }, differing);
  }

  /** Two of one name would end each other's claims, so the one that was silent goes, as if it were told to. */
  nameTaken(): void {
    this.#log.fatal({ code: 'controller_name_in_use' }, 'another process has come under this controller\'s name');
    process.kill(process.pid, 'SIGTERM');
  }

  imported({ id, repository, repositoryName, source, attempt }: Import, outcome: 'done' | 'failed' | 'released' | 'lost', error: string | undefined): void {
    this.#metrics().imports.inc({ outcome });
    this.#log[outcome === 'done' ? 'info' : 'warn']({ import: id, repository, repositoryName, source, attempt, outcome, error }, 'import');
  }

  /** A repository has left the trash for good. */
  purged(repository: string): void {
    this.#log.info({ repository }, 'a repository was purged');
  }

  /** An event from the outbox. */
  delivered({ sequence, repository, kind, payload }: OutboxEvent): void {
    this.#log.info({ sequence, repository, kind, payload }, 'event');
  }

  settled(repository: string, batch: string, node: string, outcome: 'commit' | 'abort'): void {
    this.#metrics().settled.inc({ outcome });
    this.#log.warn({ repository, batch, node, outcome }, 'a transaction in doubt was settled');
  }
}

function describeJob({ id, repository, node, reason, detail, attempt, source }: RepairJob): Record<string, unknown> {
  return { job: id, repository, node, reason, detail, attempt, source };
}
