import { CommitUnanswered, type Argument, type Row, type Sql, type Statements } from '../../../controller/store/sql.ts';
import type { Faults } from '../faults.ts';
import type { Network } from '../network.ts';
import { never, type SimProcess } from '../parts/process.ts';
import type { Random } from '../random.ts';
import type { SimStore } from './sim-store.ts';

/** Where the database server runs, for cuts of the network. */
export const STORE = 'sql';

export interface SqlWorld {
  store: SimStore;
  process: SimProcess;
  machine: string;
  network: Network;
  faults: Faults;
  random: Random;
  deadlineMs: number;
  slowMs: number;
  crash(where: string): void;
  trace: ((who: string, text: string) => void) | undefined;
}

/** One controller's connections to the store. When the controller dies, its open SQL transaction is rolled back. */
export class SimSql implements Sql {
  readonly dialect = 'sqlite';
  readonly #world: SqlWorld;

  constructor(world: SqlWorld) {
    this.#world = world;
  }

  all(sql: string, values: readonly Argument[] = []): Promise<Row[]> {
    return this.#statement(() => this.#world.store.all(sql, values));
  }

  run(sql: string, values: readonly Argument[] = []): Promise<number> {
    return this.#statement(() => {
      const changes = this.#world.store.run(sql, values);
      this.#world.store.committed();
      return changes;
    });
  }

  async transaction<T>(work: (statements: Statements) => Promise<T>): Promise<T> {
    const { store, process } = this.#world;
    const leave = await this.#reach();
    store.begin();
    let open = true;
    const rollBack = () => {
      if (!open) return;
      open = false;
      store.rollback();
      leave();
    };
    const alive = process.onDeath(rollBack);
    let result: T;
    try {
      result = await work(this.#inside());
    } catch (error) {
      alive();
      rollBack();
      throw error;
    }
    alive();
    return this.#commit(result, () => { open = false; store.commit(); leave(); }, rollBack);
  }

  /** The moment that counts: whether it was applied, and whether anybody hears of it. */
  async #commit<T>(result: T, apply: () => void, rollBack: () => void): Promise<T> {
    const { faults, random, process, trace } = this.#world;
    if (faults.strikes('crash')) {
      const after = random.chance(0.5);
      if (after) apply();
      else rollBack();
      this.#world.crash(`${after ? 'after' : 'before'} a COMMIT`);
      return never();
    }
    if (faults.strikes('commit-lost')) {
      rollBack();
      trace?.(process.name, 'hears no answer to COMMIT; it was not applied');
    } else if (faults.strikes('commit-applied')) {
      apply();
      trace?.(process.name, 'hears no answer to COMMIT; it was applied');
    } else if (faults.strikes('commit-late')) {
      const lateMs = random.between(5, 300);
      trace?.(process.name, `hears no answer to COMMIT; it will be applied in ${Math.round(lateMs)} ms`);
      this.#world.network.later(lateMs, apply);
    } else {
      apply();
      return result;
    }
    await process.wait(random.between(1, 20));
    throw new CommitUnanswered(new Error('connection lost'));
  }

  async #statement<T>(perform: () => T): Promise<T> {
    const { faults, process } = this.#world;
    const leave = await this.#reach();
    let result: T;
    try {
      result = perform();
    } finally {
      leave();
    }
    if (faults.strikes('sql-answer-lost')) {
      await process.wait(1);
      throw new Error('connection lost');
    }
    return process.alive ? result : never();
  }

  /** Waits until the database answers, and for it to ourselves. */
  async #reach(): Promise<() => void> {
    const { store, process, machine, network, faults, random, deadlineMs, slowMs } = this.#world;
    await process.wait(faults.strikes('sql-slow') ? random.between(5, slowMs) : random.between(0.1, 0.8));
    if (!store.up || !network.passes(machine, STORE) || !network.passes(STORE, machine) || faults.strikes('sql-gone')) {
      await process.wait(random.chance(0.5) ? 1 : deadlineMs);
      throw new Error('the database does not answer');
    }
    const free = store.tryEnter();
    if (free !== undefined) return free;
    const entered = store.enter();
    const cancelled = Promise.withResolvers<undefined>();
    const cancel = process.after(deadlineMs, () => cancelled.resolve(undefined));
    const leave = await Promise.race([entered, cancelled.promise]);
    cancel();
    if (leave !== undefined) {
      // Whoever died in the line is passed over.
      if (process.alive) return leave;
      leave();
      return never();
    }
    void entered.then((late) => late());
    throw new Error('waited too long for the database');
  }

  /** Statements of an open SQL transaction: the controller may die, or the connection break, between any two. */
  #inside(): Statements {
    const { store, faults, random, process } = this.#world;
    const between = async () => {
      if (faults.strikes('sql-slow')) await process.wait(random.between(1, 60));
      if (faults.strikes('sql-gone')) throw new Error('connection lost');
      if (!process.alive) await never();
    };
    return {
      dialect: 'sqlite',
      all: async (sql, values = []) => {
        await between();
        return store.all(sql, values);
      },
      run: async (sql, values = []) => {
        await between();
        return store.run(sql, values);
      },
    };
  }
}
