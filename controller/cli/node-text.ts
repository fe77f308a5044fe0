import type { NodeAnswer } from '../rest/node.ts';
import { formatAge, formatBytes, formatCount, formatNumber } from './terminal/format.ts';
import type { Cell, Column } from './terminal/table.ts';

/** How many replicas a node has, in whatever state. */
export function replicasOf({ replicas }: NodeAnswer): number {
  return Object.values(replicas).reduce((sum, count) => sum + count, 0);
}

/** `3,000`, or `2,998 of 3,000 current`. */
export function replicaText(node: NodeAnswer): string {
  const all = replicasOf(node);
  const current = node.replicas.current ?? 0;
  return all === current ? formatNumber(all, 'replica') : `${formatCount(current)} of ${formatNumber(all, 'replica')} current`;
}

/** What is still to be done until a draining node is drained. */
export function drainText(node: NodeAnswer): string {
  if (node.state === 'drained') return `${node.id} is drained`;
  const waiting = node.removals === 0 ? '' : `, ${formatNumber(node.removals, 'copy', 'copies')} to delete`;
  return `${node.id} is ${node.wish}${node.state === 'cordoned' ? ' and cordoned' : ''}: ${formatNumber(replicasOf(node), 'replica')} left${waiting}`;
}

export function nodeColumns(nowMs: number): Column<NodeAnswer>[] {
  return [
    { title: 'NODE', cell: (node) => node.id },
    { title: 'STATE', cell: stateCell },
    { title: 'ZONE', cell: (node) => node.zone },
    { title: 'REPLICAS', cell: replicaText },
    { title: 'FREE', cell: freeText, right: true },
    { title: 'LOAD', cell: ({ loadAverage }) => loadAverage?.toFixed(1) ?? '', right: true },
    { title: 'HEARD', cell: ({ heardAt }) => (heardAt === null ? 'never' : `${formatAge(heardAt, nowMs)} ago`), right: true },
    { title: 'VERSION', cell: (node) => node.version },
    { title: 'TROUBLE', cell: troubleText },
  ];
}

/** What is wrong with a node. */
export function troubleText({ trouble, clockWrong, clockSkewMs }: NodeAnswer): string {
  const clock = clockWrong ? `its clock is ${Math.abs(clockSkewMs ?? 0) / 1_000} s ${(clockSkewMs ?? 0) > 0 ? 'ahead' : 'behind'}` : undefined;
  return [trouble, clock].filter((text) => text !== undefined && text !== null).join('; ');
}

export function freeText({ diskFreeBytes, diskTotalBytes }: NodeAnswer): string {
  if (diskFreeBytes === null || diskTotalBytes === null) return '';
  return `${formatBytes(diskFreeBytes)} of ${formatBytes(diskTotalBytes)}`;
}

/** What it is, and beside that what an operator wants it to be. */
export function stateCell({ state, wish }: NodeAnswer): Cell {
  return { text: state === 'cordoned' && wish !== 'active' ? `cordoned (${wish})` : state, tone: toneOf(state) };
}

function toneOf(state: NodeAnswer['state']): 'good' | 'warn' | 'bad' {
  if (state === 'active') return 'good';
  return state === 'cordoned' ? 'bad' : 'warn';
}
