import type { ControllerContext } from './context.ts';
import type { ClusterCondition } from './metrics.ts';

/** How often replicas are counted anew; those that aren't current are counted each time. */
const COUNT_MS = 60_000;

/** Asks SQL for the condition of the whole cluster, with as little work for it as will do. */
export function conditionAsker(context: ControllerContext): () => Promise<ClusterCondition> {
  let total = 0;
  let countedAt = -Infinity;
  return async () => {
    if (performance.now() - countedAt > COUNT_MS) {
      total = await context.replicas.count();
      countedAt = performance.now();
    }
    return conditionOf(context, total);
  };
}

async function conditionOf({ atRisk, findings, jobs, replicas, verifications }: ControllerContext, total: number): Promise<ClusterCondition> {
  const age = async (kind: 'verify' | 'check') => {
    const at = await verifications.oldest(kind);
    return at === undefined ? 0 : Math.max(0, (Date.now() - at.getTime()) / 1000);
  };
  return {
    replicas: await replicas.countByState(total),
    atRisk: await atRisk.count(),
    jobs: await jobs.countOpen(),
    findings: await findings.countOpen(),
    verificationAgeSeconds: { verify: await age('verify'), check: await age('check') },
  };
}
