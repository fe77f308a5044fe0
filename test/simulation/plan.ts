import type { Random } from './random.ts';
import type { SimulationOptions } from './options.ts';
import { STORE } from './store/sim-sql.ts';

/** A fault that has its time. `end` is when it is mended; a crashed program starts again then. */
export type PlannedFault =
  | { kind: 'partition'; at: number; end: number; cuts: [from: string, to: string][] }
  | { kind: 'crash'; at: number; end: number; machine: string }
  | { kind: 'old-disk'; at: number; end: number; node: string; backupAt: number }
  | { kind: 'full-disk'; at: number; end: number; node: string }
  | { kind: 'sql-outage'; at: number; end: number }
  | { kind: 'clock-jump'; at: number; end: number; machine: string; byMs: number };

/** Draws what is planned for a run. Each fault has a name (`partition#0`), by which a run can leave it out. */
export function planFaults(options: SimulationOptions, random: Random): { name: string; fault: PlannedFault }[] {
  const nodes = Array.from({ length: options.nodes }, (_, i) => `n${i + 1}`);
  const controllers = Array.from({ length: options.controllers }, (_, i) => `c${i + 1}`);
  const machines = [...nodes, ...controllers];
  const plan: { name: string; fault: PlannedFault }[] = [];
  const add = (count: number, make: (at: number, end: number) => PlannedFault) => {
    for (let i = 0; i < count; i++) {
      const at = random.between(0, options.activeMs);
      const fault = make(at, at + random.between(5, 250));
      plan.push({ name: `${fault.kind}#${i}`, fault });
    }
  };
  add(options.partitions, (at, end) => ({ kind: 'partition', at, end, cuts: drawCuts(machines, random) }));
  add(options.crashes, (at, end) => ({ kind: 'crash', at, end, machine: random.pick(machines) }));
  add(options.oldDisks, (at, end) => ({ kind: 'old-disk', at, end, node: random.pick(nodes), backupAt: random.between(0, at) }));
  add(options.fullDisks, (at, end) => ({ kind: 'full-disk', at, end, node: random.pick(nodes) }));
  add(options.sqlOutages, (at, end) => ({ kind: 'sql-outage', at, end }));
  add(options.clockJumps, (at, end) => {
    const machine = random.pick([...machines, STORE]);
    const mostMs = machine === STORE ? [50, options.sqlClockMs] : [50, 2_000, 3_600_000];
    return { kind: 'clock-jump', at, end, machine, byMs: random.between(-1, 1) * random.pick(mostMs) };
  });
  return plan;
}

/** One machine from all others, or one from one; in one direction or both. */
function drawCuts(machines: readonly string[], random: Random): [string, string][] {
  const one = random.pick(machines);
  const others = random.chance(0.5) ? [...machines, STORE].filter((each) => each !== one) : [random.pick([...machines.filter((each) => each !== one), STORE])];
  const there = others.map((other): [string, string] => [one, other]);
  const back = others.map((other): [string, string] => [other, one]);
  return random.pick([[...there, ...back], there, back]);
}
