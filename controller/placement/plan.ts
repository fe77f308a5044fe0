import { chooseNodes, type PlacementNode } from './choose.ts';

/** A node as far as placement is concerned with it. */
export interface PlannedNode extends PlacementNode {
  /** `leaving`: its replicas shall go elsewhere. `staying`: it keeps what it has. `open`: and may get more. */
  role: 'open' | 'staying' | 'leaving';
  /** Replicas that it may be given now, beside those under way. */
  room: number;
}

export interface PlannedReplica {
  node: string;
  /** It is current at the repository's generation. */
  current: boolean;
  /** Its refs on the disk were compared with SQL since it became current. */
  verified: boolean;
}

export interface PlannedRepository {
  id: string;
  /** The replication factor that quorums are counted by, and what it shall become. */
  factor: number;
  intended: number;
  /** Whether SQL still has an intention on record. */
  changing: boolean;
  replicas: readonly PlannedReplica[];
  /** Nodes on which a copy is about to be deleted. */
  removing: ReadonlySet<string>;
}

/** The next steps for a repository; what needs them again is found when they are done. */
export interface PlacementSteps {
  add: { node: string; reason: 'new_replica' | 'move'; detail: string }[];
  /** Whether the factor may rise, or is what it was intended to be. */
  settle: boolean;
  /** A replica that isn't needed; SQL alone decides whether it may go. */
  takeAway: { node: string; reason: 'moved' | 'surplus' } | undefined;
  /** Whether its replicas must be compared with SQL first. */
  verify: boolean;
  /** Replicas that should be somewhere, and for which there is no node, now or at all. */
  unplaced: number;
}

/**
 * What is to be done next so that a repository has as many replicas as it should, on nodes that keep theirs, in different
 * zones as long as there are some. It takes no step that makes the repository less safe: first something is added, and
 * only when as many others as intended are current and verified does one go.
 */
export function planRepository(repository: PlannedRepository, nodes: ReadonlyMap<string, PlannedNode>, random: () => number): PlacementSteps {
  const { factor, intended, replicas, removing } = repository;
  const roleOf = (id: string) => nodes.get(id)?.role ?? 'leaving';
  const staying = replicas.filter(({ node }) => roleOf(node) !== 'leaving');
  const leaving = replicas.filter(({ node }) => roleOf(node) === 'leaving');
  const zones = staying.map(({ node }) => nodes.get(node)!.zone);
  const held = new Set(replicas.map(({ node }) => node));
  const candidates = [...nodes.values()].filter(({ id, role, usable, room }) => role === 'open' && usable && room > 0 && !held.has(id) && !removing.has(id));
  const steps: PlacementSteps = { add: [], settle: false, takeAway: undefined, verify: false, unplaced: 0 };

  const lacking = intended - staying.length;
  if (lacking > 0) {
    const [reason, detail] = leaving.length > 0
      ? ['move' as const, `instead of the replica on ${leaving[0]!.node}`] : ['new_replica' as const, `to have ${intended} replicas`];
    steps.add = chooseNodes(candidates, lacking, zones, random).map((node) => ({ node, reason, detail }));
    steps.unplaced = lacking - steps.add.length;
  } else if (lacking === 0 && leaving.length === 0 && replicas.every(({ current }) => current)) {
    const better = apart(zones, candidates, random);
    if (better !== undefined) steps.add = [{ node: better, reason: 'move', detail: 'to a zone that has no replica of it' }];
  }

  const current = replicas.filter((replica) => replica.current);
  steps.settle = repository.changing && ((factor < intended && current.length > factor) || (factor === intended && replicas.length === intended));
  if (replicas.length > intended) {
    const surplus = leaving.length > 0 ? leaving[0]! : leastNeeded(staying, nodes);
    const others = current.filter(({ node }) => node !== surplus.node && roleOf(node) === 'open');
    if (others.length >= intended) {
      steps.takeAway = { node: surplus.node, reason: leaving.length > 0 ? 'moved' : 'surplus' };
      steps.verify = others.filter(({ verified }) => verified).length < intended;
    }
  }
  return steps;
}

/** A node in a zone without a replica, where two replicas share one now. */
function apart(zones: readonly string[], candidates: readonly PlannedNode[], random: () => number): string | undefined {
  if (new Set(zones).size === zones.length) return undefined;
  const elsewhere = candidates.filter(({ zone }) => !zones.includes(zone));
  return chooseNodes(elsewhere, 1, zones, random)[0];
}

/** The replica that is missed least: one that isn't current, then one in a zone with others, then that on the fullest disk. */
function leastNeeded(replicas: readonly PlannedReplica[], nodes: ReadonlyMap<string, PlannedNode>): PlannedReplica {
  const zoneOf = ({ node }: PlannedReplica) => nodes.get(node)!.zone;
  const shared = (replica: PlannedReplica) => replicas.filter((other) => zoneOf(other) === zoneOf(replica)).length;
  return [...replicas].sort((a, b) => Number(a.current) - Number(b.current) || shared(b) - shared(a)
    || nodes.get(a.node)!.free - nodes.get(b.node)!.free || (a.node < b.node ? -1 : 1))[0]!;
}
