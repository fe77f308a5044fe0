import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client';
import { running } from './git/process.ts';
import { REASONS } from './maintenance/due.ts';
import { OUTCOMES } from './maintenance/maintenance.ts';
import { STEPS } from './maintenance/work.ts';

/** Seconds; from a commit that only renames a file to a vote on a pack of gigabytes. */
const PHASE_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

export type Phase = 'vote' | 'prepare' | 'commit' | 'abort';

export interface ReplicaMetrics {
  registry: Registry;
  phase: Histogram<'phase' | 'outcome'>;
  reads: Counter<'service' | 'outcome'>;
  settled: Counter<'outcome'>;
  repairs: Counter<'round' | 'way' | 'outcome'>;
  repairObjects: Counter<'way'>;
  repairBytes: Counter<'way'>;
  /** `result`: `equal`, the kind of the first problem, or `failed` when it could not be said. */
  verifications: Counter<'kind' | 'result'>;
  maintenances: Counter<'reason' | 'outcome'>;
  maintenanceSeconds: Histogram<'step'>;
  /** Packs before and after maintenances that were done. */
  maintainedPacks: Counter<'when'>;
  ready: Gauge;
}

/**
 * All metrics of a node, there from the start with zeros.
 * @param promises how many are held now
 */
export function makeMetrics(node: string, promises: () => number): ReplicaMetrics {
  const registry = new Registry();
  registry.setDefaultLabels({ node });
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const metrics: ReplicaMetrics = {
    registry,
    phase: new Histogram({ name: 'trivet_node_phase_seconds', help: 'Time this node took for a phase of a transaction', labelNames: ['phase', 'outcome'], buckets: PHASE_BUCKETS, registers }),
    reads: new Counter({ name: 'trivet_node_reads_total', help: 'Reads this node was asked for', labelNames: ['service', 'outcome'], registers }),
    settled: new Counter({ name: 'trivet_node_in_doubt_settled_total', help: 'Promises whose decision had to be asked for', labelNames: ['outcome'], registers }),
    repairs: new Counter({ name: 'trivet_node_repair_rounds_total', help: 'Rounds of repair run on this node', labelNames: ['round', 'way', 'outcome'], registers }),
    repairObjects: new Counter({ name: 'trivet_node_repair_objects_total', help: 'Objects that repairs brought to this node', labelNames: ['way'], registers }),
    repairBytes: new Counter({ name: 'trivet_node_repair_bytes_total', help: 'Bytes of packs that repairs brought to this node', labelNames: ['way'], registers }),
    verifications: new Counter({ name: 'trivet_node_verifications_total', help: 'Replicas compared with their disk', labelNames: ['kind', 'result'], registers }),
    maintenances: new Counter({ name: 'trivet_node_maintenances_total', help: 'Replicas whose packs, indexes and graphs were brought in order', labelNames: ['reason', 'outcome'], registers }),
    maintenanceSeconds: new Histogram({ name: 'trivet_node_maintenance_step_seconds', help: 'Time that steps of maintenance took', labelNames: ['step'], buckets: PHASE_BUCKETS, registers }),
    maintainedPacks: new Counter({ name: 'trivet_node_maintained_packs_total', help: 'Packs before and after maintenances', labelNames: ['when'], registers }),
    ready: new Gauge({ name: 'trivet_node_ready', help: '1 once the restart handshake is over', registers }),
  };
  new Gauge({ name: 'trivet_node_git_processes', help: 'Git processes running', registers, collect() { this.set(running.size); } });
  new Gauge({ name: 'trivet_node_promises', help: 'Promises held', registers, collect() { this.set(promises()); } });
  for (const phase of ['vote', 'prepare', 'commit', 'abort']) for (const outcome of ['ok', 'failed']) metrics.phase.zero({ phase, outcome });
  for (const service of ['info-refs', 'upload-pack', 'snapshot']) for (const outcome of ['ok', 'failed']) metrics.reads.inc({ service, outcome }, 0);
  for (const outcome of ['commit', 'abort']) metrics.settled.inc({ outcome }, 0);
  for (const way of ['fetch', 'heal', 'rebuild']) {
    for (const round of ['objects', 'refs']) for (const outcome of ['ok', 'failed']) metrics.repairs.inc({ round, way, outcome }, 0);
    metrics.repairObjects.inc({ way }, 0);
    metrics.repairBytes.inc({ way }, 0);
  }
  for (const kind of ['light', 'full']) {
    for (const result of ['equal', 'diverged', 'corrupt', 'missing', 'failed']) metrics.verifications.inc({ kind, result }, 0);
  }
  for (const reason of REASONS) for (const outcome of OUTCOMES) metrics.maintenances.inc({ reason, outcome }, 0);
  for (const step of STEPS) metrics.maintenanceSeconds.zero({ step });
  for (const when of ['before', 'after']) metrics.maintainedPacks.inc({ when }, 0);
  metrics.ready.set(0);
  return metrics;
}
