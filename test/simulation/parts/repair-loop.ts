import { TrivetError } from '@trivet/proto/errors.ts';
import { Repair } from '../../../controller/repair/repair.ts';
import type { RepairJob } from '../../../controller/store/rows.ts';
import type { Simulation } from '../simulation.ts';
import type { ControllerLife } from './sim-controller.ts';

const RETRY_MS = 100;

/** Claims repair jobs and runs the real `Repair` for them, with lease and fence. */
export class RepairLoop {
  readonly #simulation: Simulation;
  readonly #life: ControllerLife;
  readonly #repair: Repair;
  #running = false;

  constructor(simulation: Simulation, life: ControllerLife) {
    this.#simulation = simulation;
    this.#life = life;
    this.#repair = new Repair(life.registry, life.repositories, life.replicas, life.turns as never);
  }

  start(): void {
    this.#life.process.every(this.#simulation.options.reconcileMs, () => this.#round());
  }

  poke(): void {
    void this.#round().catch(() => {});
  }

  async #round(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    try {
      const { sql } = this.#life.database;
      const now = await this.#life.database.now();
      const due = await sql.all(
        `SELECT id, repository_id, node_id, fence FROM repair_jobs
         WHERE (state = 'waiting' AND next_attempt_at <= ?) OR (state = 'running' AND lease_until <= ?) LIMIT 2`, [now, now],
      );
      await Promise.all(due.map(async (row) => {
        const { id, repository_id: repository, node_id: node, fence } = row as { id: string; repository_id: string; node_id: string; fence: number };
        const claimed = await sql.run(
          `UPDATE repair_jobs SET state = 'running', fence = fence + 1, lease_until = ? WHERE id = ? AND fence = ?`,
          [new Date(now.getTime() + this.#simulation.options.leaseMs), id, fence],
        );
        if (claimed === 1) await this.#run({ id, repository, node, fence: fence + 1 });
      }));
    } finally {
      this.#running = false;
    }
  }

  async #run(job: { id: string; repository: string; node: string; fence: number }): Promise<void> {
    const { sql } = this.#life.database;
    const cancel = new AbortController();
    try {
      if (this.#life.registry.usable(job.node) === undefined) throw new TrivetError('node_unreachable');
      await this.#repair.run(job as unknown as RepairJob, cancel.signal);
      this.#simulation.trace?.(this.#life.process.name, `has repaired ${job.node}`);
      await sql.run('DELETE FROM repair_jobs WHERE id = ? AND fence = ?', [job.id, job.fence]);
    } catch {
      const now = await this.#life.database.now();
      await sql.run(
        `UPDATE repair_jobs SET state = 'waiting', lease_until = NULL, next_attempt_at = ? WHERE id = ? AND fence = ?`,
        [new Date(now.getTime() + RETRY_MS), job.id, job.fence],
      ).catch(() => {});
    }
  }
}
