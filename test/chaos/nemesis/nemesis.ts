import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from '../deployment/deployment.ts';
import type { History } from '../history/history.ts';
import { begin, describe, healEverything } from './faults.ts';
import { kindOf } from './kinds.ts';
import { interferes, type Fault } from './schedule.ts';

/** A replica that was damaged is to be whole again within this time, with other faults at rest; else the next destruction is left out. */
const REPAIR_PATIENCE_MS = 90_000;
const POLL_MS = 200;

export interface NemesisOptions {
  deployment: Deployment;
  history: History;
  schedule: readonly Fault[];
  /** Whether every replica of every repository is as it should be. */
  repaired(): Promise<boolean>;
}

/** Carries a schedule of faults out. */
export class Nemesis {
  readonly #options: NemesisOptions;
  readonly #running = new Map<Fault, Promise<void>>();
  #broken: unknown;
  /** How long the waits before destructions took. */
  readonly repairWaitsMs: number[] = [];
  /** Destructions that found the one before not repaired in time. */
  skipped = 0;

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** @throws what a fault threw that could not be begun or ended: a fault of this program, not of the cluster */
  async run(signal: AbortSignal): Promise<void> {
    const { schedule } = this.#options;
    let startedAt = performance.now();
    for (const fault of schedule) {
      while (!signal.aborted && this.#broken === undefined && performance.now() - startedAt < fault.atMs) await sleep(Math.min(POLL_MS, Math.max(1, fault.atMs - (performance.now() - startedAt))));
      if (signal.aborted || this.#broken !== undefined) break;
      if (kindOf(fault.kind).destroys === true) {
        const waitedFrom = performance.now();
        const repaired = await this.#untilRepaired(signal);
        startedAt += performance.now() - waitedFrom;
        if (!repaired) {
          this.skipped += 1;
          this.#options.history.note(`left out: ${describe(fault)}, for not everything is repaired`);
          continue;
        }
        // Other faults begin only when this one is done: a destruction in the middle of another fault might take more than a minority.
        await this.#carryOut(fault, signal);
        continue;
      }
      // To end a fault may take longer than the schedule can know: a database that comes up again, a disk that is checked.
      await Promise.all([...this.#running].filter(([other]) => interferes(other, fault)).map(([, end]) => end));
      this.#running.set(fault, this.#carryOut(fault, signal).finally(() => { this.#running.delete(fault); }));
    }
    await Promise.all(this.#running.values());
    if (this.#broken !== undefined) throw this.#broken;
    await healEverything(this.#options.deployment);
  }

  async #carryOut(fault: Fault, signal: AbortSignal): Promise<void> {
    const { deployment, history } = this.#options;
    const startedAt = history.now();
    history.note(`begins: ${describe(fault)}`);
    let what = describe(fault);
    try {
      const begun = await begin(deployment, fault);
      if (begun.what !== undefined) what += `: ${begun.what}`;
      await sleep(fault.forMs, undefined, { signal }).catch(() => {});
      await begun.end();
    } catch (error) {
      this.#broken ??= new Error(`${what}: ${(error as Error).message}`, { cause: error });
    }
    history.add({ type: 'fault', id: fault.id, kind: fault.kind, what, begin: startedAt, end: history.now() });
  }

  async #untilRepaired(signal: AbortSignal): Promise<boolean> {
    await Promise.all(this.#running.values());
    await healEverything(this.#options.deployment);
    const startedAt = performance.now();
    while (!await this.#options.repaired()) {
      if (signal.aborted || performance.now() - startedAt > REPAIR_PATIENCE_MS) return false;
      await sleep(POLL_MS);
    }
    this.repairWaitsMs.push(performance.now() - startedAt);
    return true;
  }
}
