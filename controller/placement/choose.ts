/** What placement knows of a node that could take a replica. */
export interface PlacementNode {
  id: string;
  /** Empty: nobody said; all such nodes count as one zone. */
  zone: string;
  /** Whether it answers and its disk takes promises. */
  usable: boolean;
  /** Share of its disk that is free, 0 to 1. */
  free: number;
  /** Load average of its machine. */
  load: number;
}

/** Differences in free space below this don't count: they would send every new replica to one node. */
const FREE_STEP = 0.05;
/** Below this much free disk a node gets a new replica only where there is no other. */
const FREE_LOW = 0.1;
/** What a load average of 1 counts in steps of free space. */
const STEPS_PER_LOAD = 0.5;

/**
 * Chooses nodes for new replicas of one repository, one after another: of those that can be used rather than not, in the zone
 * that has fewest of its replicas, with room, and there the one with the most free disk and the least load.
 * @param candidates nodes that may get one and have none
 * @param zones the zones of the replicas it has and keeps
 * @param random from 0 to 1, spreads over nodes that are as good as each other
 * @returns as many ids as were asked for, or fewer when there are no more
 */
export function chooseNodes(candidates: readonly PlacementNode[], count: number, zones: readonly string[], random: () => number): string[] {
  const inZone = new Map<string, number>();
  for (const zone of zones) inZone.set(zone, (inZone.get(zone) ?? 0) + 1);
  const left = candidates.map((node) => ({ node, preference: preferenceOf(node) + random() }));
  const chosen: string[] = [];
  while (chosen.length < count && left.length > 0) {
    left.sort((a, b) => Number(b.node.usable) - Number(a.node.usable)
      || (inZone.get(a.node.zone) ?? 0) - (inZone.get(b.node.zone) ?? 0)
      || Number(b.node.free >= FREE_LOW) - Number(a.node.free >= FREE_LOW)
      || b.preference - a.preference);
    const { node } = left.shift()!;
    chosen.push(node.id);
    inZone.set(node.zone, (inZone.get(node.zone) ?? 0) + 1);
  }
  return chosen;
}

/** In steps of free space: the higher, the better. */
function preferenceOf({ free, load }: PlacementNode): number {
  return Math.round(free / FREE_STEP) - load * STEPS_PER_LOAD;
}
