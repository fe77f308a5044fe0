import type { CheckerFactory } from './checker.ts';

/**
 * Invariant 6: a replica is admitted only with what SQL holds, and only by whoever has its job: a controller that was
 * slow rather than dead changes nothing any more.
 */
export const repairEndsEqual: CheckerFactory = (simulation, violate) => {
  const reached = new Map<string, { generation: number; digest: string }>();
  const setBack = new Set<string>();
  return {
    name: 'a repair ends equal, by who has its job',
    moved: (node, repository, _from, position) => { reached.set(`${node} ${repository}`, position); },
    rolledBack: (node) => { setBack.add(node); },
    admitted: ({ id, node, repository, fence, holder }, { replicas }) => {
      const [job] = simulation.store.all('SELECT fence, state FROM repair_jobs WHERE id = ?', [id]);
      if (job?.['fence'] !== fence) violate(`${holder} admitted ${node} by its claim ${fence}, and claim ${String(job?.['fence'])} had been made since`);
      const row = replicas.find((replica) => replica.node_id === node && replica.repository_id === repository)!;
      const has = reached.get(`${node} ${repository}`);
      if (row.state !== 'current' || has === undefined || setBack.has(node)) return;
      if (has.generation < row.generation) violate(`${holder} admitted ${node} at generation ${row.generation}, and it is at ${has.generation}`);
    },
  };
};
