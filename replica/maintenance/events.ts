import type { FastifyBaseLogger } from 'fastify';
import type { ReplicaMetrics } from '../metrics.ts';
import type { MaintenanceEvents } from './maintenance.ts';

/** Each thing told once: its log line together with its metric. */
export function maintenanceEvents(log: FastifyBaseLogger, metrics: ReplicaMetrics): MaintenanceEvents {
  return {
    ended(repository, { reason, urgent }, outcome, tookMs, { before, after, reason: why, fault }) {
      metrics.maintenances.inc({ reason, outcome });
      if (before !== undefined) metrics.maintainedPacks.inc({ when: 'before' }, before);
      if (after !== undefined) metrics.maintainedPacks.inc({ when: 'after' }, after);
      const particulars = { repository, reason, urgent, outcome, tookMs: Math.round(tookMs), before, after, why, code: fault?.code, fields: fault?.fields };
      if (fault?.code === 'internal') log.error({ ...particulars, err: fault.cause }, 'maintenance');
      else log[outcome === 'failed' ? 'warn' : outcome === 'refused' ? 'debug' : 'info'](particulars, 'maintenance');
    },
    step: (step, tookMs) => metrics.maintenanceSeconds.observe({ step }, tookMs / 1000),
  };
}
