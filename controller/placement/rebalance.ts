import type { PlannedNode } from './plan.ts';

/** From which node to which a replica shall move. */
export interface Imbalance { from: string; to: string }

/**
 * Whether the disks are filled so unevenly that a replica should move. It begins when the fullest and the emptiest differ
 * by more than `threshold`, and goes on until they differ by half of that: were it one number, a move could make the
 * reverse move due.
 * @param threshold a share of a disk, 0 to 1; 0: never
 * @param underWay whether it had begun before
 */
export function imbalanceOf(nodes: readonly PlannedNode[], threshold: number, underWay: boolean): Imbalance | undefined {
  const open = nodes.filter(({ role, usable }) => role === 'open' && usable).sort((a, b) => a.free - b.free || (a.id < b.id ? -1 : 1));
  const [fullest, emptiest] = [open[0], open.at(-1)];
  if (threshold === 0 || fullest === undefined || emptiest === undefined) return undefined;
  const difference = emptiest.free - fullest.free;
  return difference > (underWay ? threshold / 2 : threshold) ? { from: fullest.id, to: emptiest.id } : undefined;
}

/** Whether a repository's replica may move so without putting two of its replicas into one zone. */
export function mayMove(replicas: readonly string[], { from, to }: Imbalance, nodes: ReadonlyMap<string, PlannedNode>): boolean {
  if (!replicas.includes(from) || replicas.includes(to)) return false;
  const zones = replicas.filter((node) => node !== from).map((node) => nodes.get(node)?.zone);
  const target = nodes.get(to)?.zone;
  return target === nodes.get(from)?.zone || !zones.includes(target);
}
