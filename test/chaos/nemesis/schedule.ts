import { CLIENTS } from '../network/network.ts';
import type { Cut } from '../network/link.ts';
import { Random } from '../random.ts';
import { FAULT_KINDS, kindOf, type FaultKind } from './kinds.ts';

/** One fault, with a beginning and an end. */
export interface Fault {
  id: number;
  kind: FaultKind;
  /** When it begins, on the schedule's clock, which stands still while a destruction waits for repairs. */
  atMs: number;
  forMs: number;
  /** The parts it strikes; for faults of wires the links, as `from→to`. */
  targets: string[];
  cut?: Cut;
  delayMs?: number;
  /** Which repository, file or bit: a number that is taken modulo what there is. */
  choice: number;
}

export interface ScheduleOptions {
  seed: number;
  durationMs: number;
  nodes: readonly string[];
  controllers: readonly string[];
  /** The database's end of a link. */
  database: string;
  kinds: readonly FaultKind[];
  /** Average pause between the beginnings of two faults. */
  pauseMs: number;
}

const CUTS: readonly Cut[] = ['refuse', 'hold', 'hold-requests', 'hold-answers'];
const AT_ONCE = 3;
const DELAYS_MS = [5, 30, 150];
/** A fault is usually short against the deadlines of the cluster, and sometimes longer than most of them. */
const SHORT_MS = [300, 5_000] as const;
const LONG_MS = [10_000, 15_000] as const;
const LONG_CHANCE = 0.1;
/** These begin and end by themselves. */
const isInstant = (kind: FaultKind) => kind === 'break-connections' || kind === 'take-backup' || (kindOf(kind).destroys === true && kind !== 'swap-disks');

/**
 * The faults of a run, in order of their beginnings: a pure function of its options. Kinds come from a bag that is filled
 * again when it is empty, so that each has its turn even in a short run. Faults overlap, but no two strike one thing at once.
 */
export function makeSchedule(options: ScheduleOptions): Fault[] {
  const random = new Random(options.seed, 'schedule');
  const faults: Fault[] = [];
  let bag: FaultKind[] = [];
  for (let atMs = random.pause(options.pauseMs); ; atMs += random.pause(options.pauseMs)) {
    if (bag.length === 0) bag = random.shuffled(options.kinds.flatMap((kind) => Array<FaultKind>(kindOf(kind).weight).fill(kind)));
    if (bag.length === 0 || atMs > options.durationMs) return faults;
    const running = faults.filter((fault) => fault.atMs + fault.forMs > atMs);
    if (running.length >= AT_ONCE) continue;
    const forMs = Math.round(random.chance(LONG_CHANCE) ? random.between(...LONG_MS) : random.between(...SHORT_MS));
    const kind = bag.pop()!;
    const drawn = { id: faults.length + 1, kind, atMs: Math.round(atMs), forMs: isInstant(kind) ? 0 : forMs, choice: random.between(0, 2 ** 31) };
    const fault: Fault = { ...drawn, ...aim(kind, options, random) };
    fault.forMs = Math.min(fault.forMs, Math.max(0, Math.round(options.durationMs - atMs)));
    if (running.some((other) => interferes(other, fault))) bag.unshift(kind);
    else faults.push(fault);
  }
}

/** The kinds a run uses. */
export function kindsFor(options: { disks: ReadonlySet<string>; verification: boolean }): FaultKind[] {
  return FAULT_KINDS.filter((name) => {
    const kind = kindOf(name);
    return (kind.needs === undefined || options.disks.has(kind.needs)) && (kind.silent !== true || options.verification);
  });
}

/** All links between parts that exist: from whom to whom anybody ever connects. */
export function allLinks({ nodes, controllers, database }: Pick<ScheduleOptions, 'nodes' | 'controllers' | 'database'>): string[] {
  return [
    ...controllers.flatMap((controller) => [`${CLIENTS}→${controller}`, `${controller}→${database}`, ...nodes.map((node) => `${controller}→${node}`)]),
    ...nodes.flatMap((node) => [...controllers.map((controller) => `${node}→${controller}`), ...nodes.filter((other) => other !== node).map((other) => `${node}→${other}`)]),
  ];
}

function aim(kind: FaultKind, options: ScheduleOptions, random: Random): Pick<Fault, 'targets' | 'cut' | 'delayMs'> {
  const { nodes, controllers, database } = options;
  const links = allLinks(options);
  const someNode = () => [random.pick(nodes)];
  switch (kind) {
    case 'kill-node': case 'stop-node': case 'fill-disk': case 'fail-disk': case 'freeze-disk': case 'power-loss': case 'take-backup':
      return { targets: someNode() };
    case 'restore-backup': case 'lose-disk': case 'lose-replica':
    case 'flip-bit': case 'truncate-packed-refs': case 'edit-ref': case 'delete-index': case 'delete-replica':
      // At most a minority.
      return { targets: random.shuffled(nodes).slice(0, random.between(1, Math.floor((nodes.length - 1) / 2))) };
    case 'swap-disks': return { targets: random.shuffled(nodes).slice(0, 2) };
    case 'kill-controller': case 'stop-controller': return { targets: [random.pick(controllers)] };
    case 'stutter': return { targets: [random.pick([...nodes, ...controllers])] };
    case 'kill-everything': return { targets: [...controllers, ...nodes] };
    case 'power-loss-everywhere': return { targets: [...nodes] };
    case 'stop-database': case 'kill-database': return { targets: [database] };
    case 'cut': return { targets: [random.pick(links)], cut: random.pick(CUTS) };
    case 'slow-link': return { targets: [random.pick(links)], delayMs: random.pick(DELAYS_MS) };
    case 'isolate': {
      const part = random.pick([...nodes, ...controllers]);
      return { targets: links.filter((link) => link.split('→').includes(part)), cut: random.pick(CUTS) };
    }
    case 'split': return { targets: acrossHalves(links, options, random), cut: random.pick(['refuse', 'hold'] as const) };
    case 'break-connections': return { targets: links };
    case 'slow-node': {
      const [node] = someNode();
      return { targets: links.filter((link) => link.endsWith(`→${node}`)), delayMs: random.pick(DELAYS_MS) };
    }
  }
}

/** The links between two halves that don't see each other, a controller in each; both see the database, which decides. */
function acrossHalves(links: readonly string[], { nodes, controllers }: ScheduleOptions, random: Random): string[] {
  const half = new Set([...random.shuffled(nodes).slice(0, Math.ceil(nodes.length / 2)), random.pick(controllers)]);
  const within = (part: string) => nodes.includes(part) || controllers.includes(part);
  return links.filter((link) => {
    const [from, to] = link.split('→') as [string, string];
    return within(from) && within(to) && half.has(from) !== half.has(to);
  });
}

/** Two faults that would end each other's work too early. */
export function interferes(a: Fault, b: Fault): boolean {
  // Breaking connections undoes nothing.
  if (a.kind === 'break-connections' || b.kind === 'break-connections') return false;
  return a.targets.some((target) => b.targets.includes(target));
}
