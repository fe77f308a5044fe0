import type { Command } from '@trivet/proto/vote.ts';
import type { RepairPorts } from '../../controller/repair/repair.ts';
import type { BatchPorts } from '../../controller/transaction/batch-run.ts';
import type { Checker, CheckerFactory, RepositoryRow, SqlState } from './checkers/checker.ts';
import type { PushDone } from './history.ts';
import type { Observer } from './parts/observer.ts';
import type { Simulation } from './simulation.ts';

/** Tells the checkers, and whoever hears the story, what happens in a run. */
export class Watch {
  readonly observer: Observer;
  readonly #simulation: Simulation;
  readonly #checkers: Checker[];
  /** The push that a command belongs to. */
  readonly #pushes = new Map<Command, PushDone>();
  #toldOfSql = '';

  constructor(simulation: Simulation, checkers: readonly CheckerFactory[]) {
    this.#simulation = simulation;
    this.#checkers = checkers.map((make) => {
      const checker: Checker = make(simulation, (problem) => simulation.violate(checker.name, problem));
      return checker;
    });
    this.observer = this.#makeObserver();
  }

  /** Lets every checker look once more, until one has found something. */
  end(found: () => boolean): void {
    for (const checker of this.#checkers) if (!found()) checker.atEnd?.();
  }

  /** A node came up with an old disk. */
  rolledBack(node: string): void {
    for (const checker of this.#checkers) checker.rolledBack?.(node);
  }

  /** SQL has committed something. */
  sqlChanged(): void {
    const state = this.#sqlState();
    if (this.#simulation.trace !== undefined) this.#tellOfSql(state);
    for (const checker of this.#checkers) checker.sql?.(state);
  }

  /** Only what is new. */
  #tellOfSql({ repositories, replicas }: SqlState): void {
    const told = repositories.map(({ id, generation, refs_digest: digest }) => {
      const states = replicas.filter((replica) => replica.repository_id === id).map((replica) => `${replica.node_id} ${replica.state} ${replica.generation}`);
      return `${id} at ${this.#simulation.positionText({ generation, digest })}, ${states.join(', ')}`;
    }).join('; ');
    if (told !== this.#toldOfSql) this.#simulation.trace!('SQL', `holds ${told}`);
    this.#toldOfSql = told;
  }

  /** What a batch asks of the world, and hears. */
  observePorts(ports: BatchPorts): BatchPorts {
    return {
      ...ports,
      decide: (decision) => {
        const pushes = decision.events.flatMap(({ payload }) => {
          const first = (payload as { first: Command[] }).first[0];
          const push = first === undefined ? undefined : this.#pushOf(first);
          return push === undefined ? [] : [push];
        });
        const { repository, batch, transactions, after, promised } = decision;
        for (const checker of this.#checkers) checker.asked?.({ repository, batch, transactions, generation: after.generation, promised, pushes });
        return ports.decide(decision);
      },
      commit: async (repository, node, message, deadlineMs) => {
        const position = await ports.commit(repository, node, message, deadlineMs);
        for (const checker of this.#checkers) checker.commitAnswered?.(message.batch, node);
        return position;
      },
      mark: async (repository, ...marked) => {
        try {
          await ports.mark(repository, ...marked);
        } catch (error) {
          for (const checker of this.#checkers) checker.markFailed?.(repository);
          throw error;
        }
      },
    };
  }

  /** What a repair asks of the world, and hears. */
  observeRepair(ports: RepairPorts): RepairPorts {
    return {
      ...ports,
      admit: async (job, position) => {
        const admitted = await ports.admit(job, position);
        if (admitted) for (const checker of this.#checkers) checker.admitted?.(job, this.#sqlState());
        return admitted;
      },
    };
  }

  #sqlState(): SqlState {
    const repositories = this.#simulation.store.all('SELECT id, generation, refs_digest, replication_factor FROM repositories', []) as unknown as RepositoryRow[];
    return { repositories, replicas: this.#simulation.replicaRows() };
  }

  /** Commands keep their identity on the way from a client to a decision. */
  #pushOf(command: Command): PushDone | undefined {
    let push = this.#pushes.get(command);
    if (push === undefined) {
      for (const each of this.#simulation.history.pushes) for (const own of each.commands) this.#pushes.set(own, each);
      push = this.#pushes.get(command);
    }
    return push;
  }

  #makeObserver(): Observer {
    return {
      recorded: (node, record) => {
        if (this.#simulation.trace !== undefined && record.kind !== 'restart') {
          this.#simulation.trace(node, record.kind === 'promise'
            ? `promises batch ${this.#simulation.short(record.batch)}, to go from generation ${record.before.generation} to ${record.after.generation}`
            : `has ${record.kind} batch ${this.#simulation.short(record.batch)}`);
        }
        if (record.kind === 'promise') this.#simulation.mishaps.mayLosePromise(node);
        for (const checker of this.#checkers) checker.recorded?.(node, record);
      },
      moved: (node, repository, from, to, how) => {
        if (from !== undefined) this.#simulation.trace?.(node, `goes from generation ${from} to ${this.#simulation.positionText(to)} by a ${how}`);
        for (const checker of this.#checkers) checker.moved?.(node, repository, from, to, how);
      },
      pushed: (push) => { for (const checker of this.#checkers) checker.pushed?.(push); },
      read: (read) => {
        this.#simulation.history.reads.push(read);
        this.#simulation.trace?.(read.client, `reads ${read.repository} at ${this.#simulation.positionText(read)}`);
        for (const checker of this.#checkers) checker.read?.(read);
      },
      impossible: (where, problem) => this.#simulation.violate('nothing impossible happens', `${where}: ${problem}`),
    };
  }
}
