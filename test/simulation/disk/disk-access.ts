import { TrivetError } from '@trivet/proto/errors.ts';
import type { Faults } from '../faults.ts';
import type { Random } from '../random.ts';
import { never, type SimProcess } from '../parts/process.ts';
import type { NodeDisk } from './node-disk.ts';

/** The way of one process to its node's disk: every step takes time, and may be the last thing the process does. */
export class DiskAccess {
  readonly disk: NodeDisk;
  readonly #process: SimProcess;
  readonly #faults: Faults;
  readonly #random: Random;
  readonly #crash: (where: string) => void;

  /** @param crash kills the node this process is of */
  constructor(disk: NodeDisk, process: SimProcess, faults: Faults, random: Random, crash: (where: string) => void) {
    this.disk = disk;
    this.#process = process;
    this.#faults = faults;
    this.#random = random;
    this.#crash = crash;
  }

  get alive(): boolean {
    return this.#process.alive;
  }

  /** One durable step, with the node's death possible before and after it. */
  async step(what: string, perform: () => void): Promise<void> {
    await this.#process.wait(this.#faults.strikes('disk-slow') ? this.#random.between(2, 120) : this.#random.between(0.05, 0.6));
    return this.now(what, perform);
  }

  /** The same within one turn of the event loop. */
  now(what: string, perform: () => void): Promise<void> {
    if (this.#faults.strikes('crash')) {
      const after = this.#random.chance(0.5);
      if (after) perform();
      this.#crash(`${after ? 'after' : 'before'} ${what}`);
    } else {
      perform();
    }
    return this.alive ? Promise.resolve() : never();
  }

  async read<T>(value: () => T): Promise<T> {
    return this.alive ? value() : never<T>();
  }

  /** @throws TrivetError disk_failure when the disk is full */
  needRoom(): void {
    if (this.disk.full) throw new TrivetError('disk_failure', { cause: 'ENOSPC' });
  }
}
