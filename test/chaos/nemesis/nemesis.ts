import { setTimeout as sleep } from 'node:timers/promises';
import type { Deployment } from '../deployment/deployment.ts';
import type { History } from '../history/history.ts';
import { begin, describe, healEverything } from './faults.ts';
import { kindOf } from './kinds.ts';
import { interferes, type Fault } from './schedule.ts';

/** For so long other faults rest so that everything gets repaired before a destruction; then that is put off. */
const REPAIR_PATIENCE_MS = 15_000;
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
  /** How long it took until everything was repaired before a destruction. */
  readonly repairWaitsMs: number[] = [];
  #putOff: Fault[] = [];

  constructor(options: NemesisOptions) {
    this.#options = options;
  }

  /** Destructions that never found everything repaired. */
  get leftOut(): number {
    return this.#putOff.length;
  }

  /** @throws what a fault threw that could not be begun or ended: a fault of this program, not of the cluster */
  async run(signal: AbortSignal): Promise<void> {
    let startedAt = performance.now();
    for (const fault of this.#options.schedule) {
      for (let leftMs = fault.atMs; leftMs > 0 && !signal.aborted; leftMs = fault.atMs - (performance.now() - startedAt)) await sleep(Math.min(POLL_MS, leftMs));
      if (signal.aborted || this.#broken !== undefined) break;
      if (kindOf(fault.kind).destroys === true) {
        this.#putOff.push(fault);
        startedAt += await this.#destroy(signal);
      } else {
        // To end a fault may take longer than the schedule can know: a database that comes up again, a disk that is checked.
        await Promise.all([...this.#running].filter(([other]) => interferes(other, fault)).map(([, end]) => end));
        this.#running.set(fault, this.#carryOut(fault, signal).finally(() => { this.#running.delete(fault); }));
      }
    }
    await Promise.all(this.#running.values());
    if (this.#broken !== undefined) throw this.#broken;
    await healEverything(this.#options.deployment);
  }

  /**
   * One destruction that is due, if everything is repaired; nothing else goes on meanwhile, for together they might take more
   * than a minority.
   * @returns how long the schedule's clock stood still
   */
  async #destroy(signal: AbortSignal): Promise<number> {
    const from = performance.now();
    if (await this.#untilRepaired(signal)) await this.#carryOut(this.#putOff.shift()!, signal);
    return performance.now() - from;
  }

  async #carryOut(fault: Fault, signal: AbortSignal): Promise<void> {
    const { deployment, history } = this.#options;
    const startedAt = history.now();
    history.note(`begins: ${describe(fault)}`);
    let what = describe(fault);
    let replicas: string[] | undefined;
    try {
      const begun = await begin(deployment, fault);
      if (begun.what !== undefined) what += `: ${begun.what}`;
      replicas = begun.replicas;
      await sleep(fault.forMs, undefined, { signal }).catch(() => {});
      await begun.end();
    } catch (error) {
      this.#broken ??= new Error(`${what}: ${(error as Error).message}`, { cause: error });
    }
    history.add({ type: 'fault', id: fault.id, kind: fault.kind, what, begin: startedAt, end: history.now(), ...(replicas === undefined ? {} : { replicas }) });
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
