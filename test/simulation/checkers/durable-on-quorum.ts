import { OK } from '@trivet/proto/vote.ts';
import { quorumOf } from '../../../controller/transaction/quorum.ts';
import type { NodeDisk } from '../disk/node-disk.ts';
import type { PushDone } from '../history.ts';
import type { AskedDecision, CheckerFactory } from './checker.ts';

/**
 * Invariant 1, the half about disks: when a push is acknowledged, and ever after, it is on the disks of a quorum of the
 * configured replicas, so that even a loss of power everywhere at that moment keeps it. Disks that were set back by
 * hand are counted as having had it.
 */
export const durableOnQuorum: CheckerFactory = (simulation, violate) => {
  const decisions = new Map<PushDone, AskedDecision>();
  const acknowledged = new Set<PushDone>();
  const setBack = new Set<string>();
  const check = (push: PushDone, when: string) => {
    const decision = decisions.get(push);
    if (decision === undefined) {
      violate(`${push.operation} was acknowledged, and SQL was never asked`);
      return;
    }
    const holders = simulation.nodes.filter((node) => setBack.has(node.name) || holds(node.disk, decision)).map((node) => node.name);
    const quorum = quorumOf(simulation.options.nodes);
    if (holders.length < quorum) violate(`${push.operation} was acknowledged, and ${when} only ${holders.join(', ') || 'no node'} would still have it after a loss of power; a quorum is ${quorum}`);
  };
  return {
    name: 'acknowledged pushes are durable on a quorum',
    asked: (decision) => {
      for (const push of decision.pushes) decisions.set(push, decision);
    },
    rolledBack: (node) => { setBack.add(node); },
    pushed: (push) => {
      if (push.outcome.kind !== 'answered' || push.outcome.copies === 0 || !push.outcome.verdicts.includes(OK)) return;
      acknowledged.add(push);
      check(push, 'at that moment');
    },
    atEnd: () => {
      for (const push of acknowledged) check(push, 'in the end');
    },
  };
};

/** Whether a disk brings the batch back after a loss of power: by its promise, or because the replica is past it. */
function holds(disk: NodeDisk, { repository, batch, generation }: AskedDecision): boolean {
  const record = disk.replicas.get(repository)?.record.durable;
  if (record !== undefined && record.generation >= generation) return true;
  for (const file of disk.journal.values()) if (file.durable.includes(`"batch":"${batch}"`)) return true;
  return false;
}
