import type { NodeView } from '../nodes/states.ts';
import type { NodeAnswer } from '../rest/node.ts';
import { REPLICA_STATES } from '../rest/parts.ts';

/** A node as REST shows it. @param isWrong whether a clock is too far from this controller's */
export function describeNode({ row, known, state, replicas, arriving, removals }: NodeView, isWrong: (skewMs: number) => boolean): NodeAnswer {
  const { status } = known ?? {};
  const clockSkewMs = known?.clockSkewMs ?? row.clockSkewMs;
  return {
    id: row.id, url: row.url, state, wish: row.state, trouble: known?.trouble ?? null,
    zone: row.zone, version: row.version, gitVersion: row.gitVersion,
    joinedAt: row.joinedAt?.toISOString() ?? null,
    stateChangedAt: row.stateChangedAt?.toISOString() ?? null,
    heardAt: row.heardAt?.toISOString() ?? null,
    diskTotalBytes: status?.diskTotalBytes ?? row.diskTotalBytes,
    diskFreeBytes: status?.diskFreeBytes ?? row.diskFreeBytes,
    loadAverage: status?.loadAverage ?? row.loadAverage,
    clockSkewMs,
    clockWrong: clockSkewMs !== null && isWrong(clockSkewMs),
    replicas: Object.fromEntries(REPLICA_STATES.map((each) => [each, replicas[each] ?? 0])) as NodeAnswer['replicas'],
    arriving,
    removals,
  };
}
