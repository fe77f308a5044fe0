import type { NodeAnswer } from '../rest/node.ts';
import type { Facts } from './problems.ts';

// Test support: a cluster.

const AT = '2026-11-01T12:00:00.000Z';

/** A node that is well. */
export const NODE: NodeAnswer = {
  id: 'node1', url: 'http://127.0.0.1:8082', state: 'active', wish: 'active', trouble: null, zone: '', version: '', gitVersion: '', joinedAt: null, stateChangedAt: null,
  heardAt: null, diskTotalBytes: 100, diskFreeBytes: 50, loadAverage: 0, clockSkewMs: 0, clockWrong: false,
  replicas: { current: 1, outdated: 0, diverged: 0, corrupt: 0, missing: 0, repairing: 0 }, arriving: 0, removals: 0,
};

/** A cluster in which everything is as it shall be, but for this. */
export function facts(different: Partial<Facts> = {}): Facts {
  return {
    at: AT, cluster: 'c', controller: 'controller1', version: '0', repositories: 1,
    replicas: { current: 3, outdated: 0, diverged: 0, corrupt: 0, missing: 0, repairing: 0 },
    atRisk: { total: 0, byKind: { under_replicated: 0, no_quorum: 0, unavailable: 0 }, first: [] },
    nodes: [NODE], controllers: [{ name: 'controller1', version: '0', running: true, differs: false }],
    repairs: { waiting: 0, running: 0, first: [] },
    findings: { outdated: 0, diverged: 0, corrupt: 0, missing: 0, unknown: 0 },
    verification: { oldestVerifiedAt: '2026-11-01T11:00:00.000Z', oldestCheckedAt: null },
    transactionsInDoubt: 0, rates: { pushesPerSecond: 0, readsPerSecond: 0 },
    ...different,
  };
}
