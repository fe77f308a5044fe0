import { OK } from '@trivet/proto/vote.ts';
import { quorumOf } from '../../../controller/transaction/quorum.ts';
import type { PushDone } from '../history.ts';
import type { AskedDecision, CheckerFactory } from './checker.ts';

/**
 * When a client hears success and a quorum has answered the commit, every replica that SQL calls current has the push
 * visible: the others were marked before. (Not where SQL couldn't be told, and not of disks that were set back.)
 */
export const acknowledgedIsCurrent: CheckerFactory = (simulation, violate) => {
  const decisions = new Map<PushDone, AskedDecision>();
  const answered = new Map<string, number>();
  const unmarked = new Set<string>();
  const reached = new Map<string, number>();
  const setBack = new Set<string>();
  return {
    name: 'who is current has what was acknowledged',
    asked: (decision) => {
      for (const push of decision.pushes) decisions.set(push, decision);
    },
    commitAnswered: (batch) => { answered.set(batch, (answered.get(batch) ?? 0) + 1); },
    markFailed: (repository) => { unmarked.add(repository); },
    moved: (node, repository, _from, { generation }) => { reached.set(`${node} ${repository}`, generation); },
    rolledBack: (node) => { setBack.add(node); },
    pushed: (push) => {
      if (push.outcome.kind !== 'answered' || push.outcome.copies === 0 || !push.outcome.verdicts.includes(OK)) return;
      const decision = decisions.get(push);
      if (decision === undefined || unmarked.has(push.repository)) return;
      if ((answered.get(decision.batch) ?? 0) < quorumOf(simulation.options.nodes)) return;
      for (const { node_id: node, repository_id: repository, state } of simulation.replicaRows()) {
        if (state !== 'current' || repository !== push.repository || setBack.has(node)) continue;
        const generation = reached.get(`${node} ${repository}`) ?? 0;
        if (generation < decision.generation) violate(`${push.operation} was acknowledged at generation ${decision.generation}, and SQL calls ${node} current, which is at ${generation}`);
      }
    },
  };
};
