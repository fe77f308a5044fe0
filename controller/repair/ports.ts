import type { Clock } from '@trivet/proto/clock.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import type { NodeRegistry } from '../nodes/node-registry.ts';
import type { RepairJobs } from '../store/jobs.ts';
import type { Replicas } from '../store/replicas.ts';
import type { Repositories } from '../store/repositories.ts';
import type { RepairTargets } from './reconcile.ts';
import type { RepairPorts } from './repair.ts';

/** What runs actions alone in a repository's turn; see Turns. */
export interface ExclusiveTurns {
  exclusively<R>(repository: string, action: () => Promise<R>): Promise<R>;
}

/** The real world of a repair: nodes over HTTP, jobs and admissions in SQL. */
export function makeRepairPorts(input: {
  repositories: Repositories; replicas: Replicas; jobs: RepairJobs; nodes: NodeRegistry; turns: ExclusiveTurns; leaseMs: number;
  failpoint: Failpoint;
  clock: Clock;
}): RepairPorts {
  const { repositories, replicas, jobs, nodes, turns, leaseMs, failpoint, clock } = input;
  const client = (id: string): NodeClient => {
    const node = nodes.usable(id);
    if (node === undefined) throw new TrivetError('node_unreachable', { node: id });
    return node.client;
  };
  return {
    route: (repository) => repositories.routeById(repository),
    begin: (job) => jobs.begin(job),
    report: (job, progress) => jobs.report(job, progress, leaseMs),
    admit: (job, position) => replicas.admit(job, position),
    url: (node) => nodes.usable(node)?.client.url,
    verify: async (repository, node, full, signal) => client(node).verify(repository, full, signal),
    round: async (repository, node, message, signal) => client(node).repair(repository, message, signal),
    discard: (job) => { void nodes.get(job.node)?.client.discardRepaired(job.repository, job.id).catch(() => {}); },
    inTurn: (repository, action) => turns.exclusively(repository, action),
    failpoint,
    clock,
  };
}

export function makeRepairTargets(nodes: NodeRegistry): RepairTargets {
  return {
    usable: () => nodes.byUse.usable,
    progress: async (repository, node) => nodes.usable(node)?.client.repairProgress(repository),
  };
}
