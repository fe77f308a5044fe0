import type { FastifyBaseLogger } from 'fastify';
import { ERRORS } from '@trivet/proto/errors.ts';
import type { ControllerMetrics, PushOutcome, TransactionPhase } from './metrics.ts';
import { addNode } from './metrics.ts';
import type { KnownNode, NodeEvents } from './nodes/node-registry.ts';
import type { Reason } from './routing/choose.ts';
import type { ReadEvents } from './routing/reader.ts';
import type { OutboxEvent } from './store/rows.ts';
import type { TransactionEvents } from './transaction/coordinator.ts';

const OUTCOME_LABELS = new Set(['committed', 'unknown', 'aborted']);

/** What happens in a controller, each thing told once: one function writes its log line and its metric. */
export class Events implements NodeEvents, ReadEvents, TransactionEvents {
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

  repaired(repository: string, node: string, reason: string, tookMs: number): void {
    this.#metrics().repairs.inc({ outcome: 'ok' });
    this.#log.info({ repository, node, reason, tookMs: Math.round(tookMs) }, 'replica repaired');
  }

  repairFailed(repository: string, node: string, reason: string, code: string, fields: Readonly<Record<string, unknown>>): void {
    this.#metrics().repairs.inc({ outcome: 'failed' });
    this.#log.warn({ repository, node, reason, code, fields }, 'repair failed, to be tried again');
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
