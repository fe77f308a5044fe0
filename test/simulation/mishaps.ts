import type { NodeDisk } from './disk/node-disk.ts';
import type { SimController } from './parts/sim-controller.ts';
import type { SimNode } from './parts/sim-node.ts';
import type { PlannedFault } from './plan.ts';
import type { Simulation } from './simulation.ts';
import { STORE } from './store/sim-sql.ts';

/** Carries out what is planned, and what befalls disks: see plan.ts. */
export class Mishaps {
  readonly #simulation: Simulation;
  readonly #backups = new Map<PlannedFault, NodeDisk>();
  readonly #setBack = new Set<string>();

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  /** Lets a planned fault happen when its time has come, unless this run leaves it out. */
  schedule(name: string, fault: PlannedFault): void {
    const simulation = this.#simulation;
    if (fault.kind === 'old-disk') {
      simulation.schedule.after(fault.backupAt, () => { this.#backups.set(fault, simulation.node(fault.node).disk.copy()); });
    }
    simulation.schedule.after(fault.at, () => {
      if (!simulation.faults.allows(name)) return;
      const mend = this.#begin(fault);
      if (mend !== undefined) simulation.schedule.after(simulation.options.liveness ? Math.min(fault.end, simulation.options.activeMs) - fault.at : fault.end - fault.at, mend);
    });
  }

  /** @returns what ends it */
  #begin(fault: PlannedFault): (() => void) | undefined {
    const simulation = this.#simulation;
    switch (fault.kind) {
      case 'partition': {
        simulation.trace?.('the network', `is cut: nothing passes from ${fault.cuts.map(([from, to]) => `${from} to ${to}`).join(', from ')}`);
        const mends = fault.cuts.map(([from, to]) => simulation.network.cut(from, to));
        return () => {
          simulation.trace?.('the network', 'is whole again');
          for (const mend of mends) mend();
        };
      }
      case 'crash': {
        const machine = this.#machine(fault.machine);
        simulation.crash(machine, 'from outside', false);
        return () => simulation.startAgain(machine);
      }
      case 'old-disk': return this.#setDiskBack(fault);
      case 'full-disk': {
        const node = simulation.node(fault.node);
        simulation.trace?.(node.name, 'has a full disk');
        node.disk.full = true;
        return () => {
          simulation.trace?.(node.name, 'has room on its disk again, and is started anew');
          node.disk.full = false;
          simulation.crash(node, 'by its operator');
        };
      }
      case 'sql-outage':
        simulation.trace?.('SQL', 'goes away');
        simulation.store.up = false;
        return () => {
          simulation.trace?.('SQL', 'is back');
          simulation.store.up = true;
        };
      case 'clock-jump': {
        simulation.trace?.(fault.machine, `has its clock set by ${Math.round(fault.byMs)} ms`);
        const clock = fault.machine === STORE ? simulation.store : this.#machine(fault.machine);
        clock.skewMs += fault.byMs;
        return () => { clock.skewMs -= fault.byMs; };
      }
    }
  }

  /** A node comes up with an old disk. Never more than a minority of nodes at a time: more can lose what was acknowledged. */
  #setDiskBack(fault: PlannedFault & { kind: 'old-disk' }): (() => void) | undefined {
    const simulation = this.#simulation;
    const node = simulation.node(fault.node);
    if (!this.#setBack.has(node.name) && this.#setBack.size >= Math.floor((simulation.options.nodes - 1) / 2)) return undefined;
    simulation.crash(node, 'and its disk is taken away', false);
    this.#setBack.add(node.name);
    return () => {
      if (node.life !== undefined) return;
      simulation.trace?.(node.name, `comes up with the disk it had at ${Math.round(fault.backupAt)} ms`);
      node.disk = this.#backups.get(fault)!;
      simulation.watch.rolledBack(node.name);
      simulation.startNode(node);
    };
  }

  /** The nastiest moment for an old disk: a promise was given, and the disk comes back as it was before. */
  mayLosePromise(name: string): void {
    const simulation = this.#simulation;
    if (!simulation.faults.strikes('promise-gone')) return;
    const random = simulation.random('promise-gone');
    const at = simulation.schedule.now;
    const fault = { kind: 'old-disk' as const, at, end: 0, node: name, backupAt: at };
    this.#backups.set(fault, simulation.node(name).disk.copy());
    simulation.schedule.after(random.between(1, 20), () => {
      const mend = this.#setDiskBack(fault);
      if (mend !== undefined) simulation.schedule.after(random.between(1, 20), mend);
    });
  }

  #machine(name: string): SimNode | SimController {
    const simulation = this.#simulation;
    return simulation.nodes.find((node) => node.name === name) ?? simulation.controllers.find((controller) => controller.name === name)!;
  }
}
