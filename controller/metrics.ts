import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { REASONS } from './routing/choose.ts';
import { RISKS, type Risk } from './store/at-risk.ts';
import { FINDING_KINDS, JOB_REASONS, REPLICA_STATES, type FindingKind, type JobReason, type ReplicaState } from './store/rows.ts';

const PHASE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

const REPAIR_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600];

export const PUSH_OUTCOMES = ['committed', 'partly', 'rejected', 'failed', 'unknown', 'client_gone'] as const;
export type PushOutcome = typeof PUSH_OUTCOMES[number];
export const TRANSACTION_PHASES = ['vote', 'turn', 'prepare', 'decide', 'commit'] as const;
export type TransactionPhase = typeof TRANSACTION_PHASES[number];

export interface ControllerMetrics {
  registry: Registry;
  pushes: Counter<'outcome'>;
  pushSeconds: Histogram;
  copies: Counter<'copies'>;
  phases: Histogram<'phase'>;
  votesLost: Counter<'node' | 'code'>;
  batches: Counter<'outcome'>;
  batchSize: Histogram;
  reads: Counter<'node' | 'reason' | 'outcome'>;
  repairs: Counter<'outcome' | 'reason' | 'way'>;
  repairBytes: Counter;
  repairObjects: Counter;
  repairSeconds: Histogram<'way'>;
  verifications: Counter<'kind' | 'result'>;
  findings: Counter<'kind'>;
  dataLosses: Counter;
  imports: Counter<'outcome'>;
  replicas: Gauge<'state'>;
  atRisk: Gauge<'kind'>;
  jobs: Gauge<'state' | 'reason'>;
  openFindings: Gauge<'kind'>;
  verificationAge: Gauge<'kind'>;
  settled: Counter<'outcome'>;
  controllers: Gauge<'settings'>;
  nodeHealthy: Gauge<'node'>;
  nodeSilences: Counter<'node'>;
  nodeClockSkew: Gauge<'node'>;
  placementSteps: Counter<'step'>;
  unplaced: Gauge;
  copiesRemoved: Counter<'outcome'>;
}

/** All metrics of a controller, there from the start with zeros. */
export function makeMetrics(controller: string, gauges: { voting(): number; waiting(): number }): ControllerMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ controller });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const metrics: ControllerMetrics = {
    registry,
    pushes: new Counter({ name: 'trivet_pushes_total', help: 'Pushes by what became of them', labelNames: ['outcome'], registers }),
    pushSeconds: new Histogram({ name: 'trivet_push_seconds', help: 'Time from the first byte of a push to the answer', buckets: PHASE_BUCKETS, registers }),
    copies: new Counter({ name: 'trivet_acknowledged_pushes_total', help: 'Committed pushes by the number of nodes whose disks they were on', labelNames: ['copies'], registers }),
    phases: new Histogram({ name: 'trivet_transaction_phase_seconds', help: 'Time of each phase of a transaction, seen from the controller', labelNames: ['phase'], buckets: PHASE_BUCKETS, registers }),
    votesLost: new Counter({ name: 'trivet_votes_lost_total', help: 'Votes that were not part of the quorum, by node and reason', labelNames: ['node', 'code'], registers }),
    batches: new Counter({ name: 'trivet_batches_total', help: 'Batches by what became of them', labelNames: ['outcome'], registers }),
    batchSize: new Histogram({ name: 'trivet_batch_transactions', help: 'Transactions prepared together', buckets: [1, 2, 4, 8, 16, 32, 64], registers }),
    reads: new Counter({ name: 'trivet_reads_total', help: 'Reads by node, the reason the node was chosen, and outcome', labelNames: ['node', 'reason', 'outcome'], registers }),
    repairs: new Counter({ name: 'trivet_repairs_total', help: 'Repairs by outcome, the reason they were due, and the way that was taken', labelNames: ['outcome', 'reason', 'way'], registers }),
    repairBytes: new Counter({ name: 'trivet_repair_bytes_total', help: 'Bytes that finished repairs have brought over', registers }),
    repairObjects: new Counter({ name: 'trivet_repair_objects_total', help: 'Objects that finished repairs have brought over', registers }),
    repairSeconds: new Histogram({ name: 'trivet_repair_seconds', help: 'Time a successful repair took, by its way', labelNames: ['way'], buckets: REPAIR_BUCKETS, registers }),
    verifications: new Counter({ name: 'trivet_verifications_total', help: 'Verifications by kind (verify: refs, check: every object) and result', labelNames: ['kind', 'result'], registers }),
    findings: new Counter({ name: 'trivet_findings_total', help: 'What verification and restarted nodes found wrong, by kind', labelNames: ['kind'], registers }),
    imports: new Counter({ name: 'trivet_imports_total', help: 'Attempts at imports, by how they ended', labelNames: ['outcome'], registers }),
    dataLosses: new Counter({ name: 'trivet_data_losses_total', help: 'Data losses that an operator accepted', registers }),
    replicas: new Gauge({ name: 'trivet_replicas', help: 'Replicas by state', labelNames: ['state'], registers }),
    atRisk: new Gauge({ name: 'trivet_repositories_at_risk', help: 'Repositories with fewer current replicas on reachable nodes than configured, by the worst that applies', labelNames: ['kind'], registers }),
    jobs: new Gauge({ name: 'trivet_repair_jobs', help: 'Open repair jobs by state and reason', labelNames: ['state', 'reason'], registers }),
    openFindings: new Gauge({ name: 'trivet_findings_open', help: 'Findings that are not resolved, by kind', labelNames: ['kind'], registers }),
    verificationAge: new Gauge({ name: 'trivet_verification_age_seconds', help: 'Age of the oldest verification of a current replica, by kind; 0 while there is none', labelNames: ['kind'], registers }),
    settled: new Counter({ name: 'trivet_settled_total', help: 'Transactions in doubt whose outcome a node asked for', labelNames: ['outcome'], registers }),
    controllers: new Gauge({ name: 'trivet_controllers', help: 'Controllers that run, by whether their settings are the same as those of the one that started last', labelNames: ['settings'], registers }),
    nodeHealthy: new Gauge({ name: 'trivet_node_healthy', help: '1 while this controller can use the node', labelNames: ['node'], registers }),
    nodeSilences: new Counter({ name: 'trivet_node_silences_total', help: 'Times a node was waited for no longer because it left a heartbeat unanswered', labelNames: ['node'], registers }),
    nodeClockSkew: new Gauge({ name: 'trivet_node_clock_skew_seconds', help: 'By how much the clock of a node is ahead of this controller\'s', labelNames: ['node'], registers }),
    placementSteps: new Counter({ name: 'trivet_placement_steps_total', help: 'What placement did: replicas added and taken away, factors settled', labelNames: ['step'], registers }),
    unplaced: new Gauge({ name: 'trivet_repositories_unplaced', help: 'Repositories that lack a replica for which there is no node', registers }),
    copiesRemoved: new Counter({ name: 'trivet_surplus_copies_removed_total', help: 'Deletions of copies that are replicas no more, by outcome', labelNames: ['outcome'], registers }),
  };
  new Gauge({ name: 'trivet_pushes_voting', help: 'Pushes in the vote phase', registers, collect() { this.set(gauges.voting()); } });
  new Gauge({ name: 'trivet_turns_waiting', help: 'Pushes and repairs that wait for a turn', registers, collect() { this.set(gauges.waiting()); } });
  for (const outcome of PUSH_OUTCOMES) metrics.pushes.inc({ outcome }, 0);
  for (const copies of ['1', '2', '3', '4', '5']) metrics.copies.inc({ copies }, 0);
  for (const phase of TRANSACTION_PHASES) metrics.phases.zero({ phase });
  for (const outcome of ['committed', 'failed', 'aborted', 'unknown']) metrics.batches.inc({ outcome }, 0);
  for (const reason of JOB_REASONS) {
    for (const way of ['none', 'verify', 'fetch', 'heal', 'rebuild']) metrics.repairs.inc({ outcome: 'ok', reason, way }, 0);
    for (const outcome of ['failed', 'handed_over']) metrics.repairs.inc({ outcome, reason, way: 'none' }, 0);
    for (const state of ['waiting', 'running']) metrics.jobs.set({ state, reason }, 0);
  }
  for (const way of ['verify', 'fetch', 'heal', 'rebuild']) metrics.repairSeconds.zero({ way });
  for (const kind of ['verify', 'check']) {
    for (const result of ['equal', 'outdated', 'diverged', 'corrupt', 'missing']) metrics.verifications.inc({ kind, result }, 0);
    metrics.verificationAge.set({ kind }, 0);
  }
  for (const kind of FINDING_KINDS) {
    metrics.findings.inc({ kind }, 0);
    metrics.openFindings.set({ kind }, 0);
  }
  for (const settings of ['same', 'differing']) metrics.controllers.set({ settings }, 0);
  for (const state of REPLICA_STATES) metrics.replicas.set({ state }, 0);
  for (const kind of RISKS) metrics.atRisk.set({ kind }, 0);
  for (const step of ['add', 'take_away', 'settle_factor']) metrics.placementSteps.inc({ step }, 0);
  for (const outcome of ['ok', 'failed']) metrics.copiesRemoved.inc({ outcome }, 0);
  for (const outcome of ['commit', 'abort']) metrics.settled.inc({ outcome }, 0);
  for (const outcome of ['done', 'failed', 'released', 'lost']) metrics.imports.inc({ outcome }, 0);
  return metrics;
}

/** The series of a node that has just become known, so that they exist before anything happens on it. */
export function addNode(metrics: ControllerMetrics, node: string): void {
  for (const reason of REASONS) for (const outcome of ['ok', 'failed']) metrics.reads.inc({ node, reason, outcome }, 0);
  metrics.nodeSilences.inc({ node }, 0);
  metrics.votesLost.inc({ node, code: 'phase_timeout' }, 0);
  metrics.votesLost.inc({ node, code: 'differs' }, 0);
}

/** What SQL says of the whole cluster, as last asked. */
export interface ClusterCondition {
  replicas: Record<ReplicaState, number>;
  atRisk: Record<Risk, number>;
  jobs: { state: string; reason: JobReason; count: number }[];
  findings: Record<FindingKind, number>;
  verificationAgeSeconds: { verify: number; check: number };
}

/** Every controller exports the same: a dashboard takes the maximum. */
export function setCondition(metrics: ControllerMetrics, condition: ClusterCondition): void {
  for (const state of REPLICA_STATES) metrics.replicas.set({ state }, condition.replicas[state]);
  for (const kind of RISKS) metrics.atRisk.set({ kind }, condition.atRisk[kind]);
  for (const kind of FINDING_KINDS) metrics.openFindings.set({ kind }, condition.findings[kind]);
  for (const kind of ['verify', 'check'] as const) metrics.verificationAge.set({ kind }, condition.verificationAgeSeconds[kind]);
  for (const reason of JOB_REASONS) {
    for (const state of ['waiting', 'running']) {
      const count = condition.jobs.find((job) => job.state === state && job.reason === reason)?.count ?? 0;
      metrics.jobs.set({ state, reason }, count);
    }
  }
}
