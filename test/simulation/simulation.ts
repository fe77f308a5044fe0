import { asTrivetError } from '@trivet/proto/errors.ts';
import type { Command } from '@trivet/proto/vote.ts';
import type { RepairPorts } from '../../controller/repair/repair.ts';
import type { BatchPorts } from '../../controller/transaction/batch-run.ts';
import { RefTable } from '../../replica/refs/ref-table.ts';
import type { Replica } from '../../replica/repository/replica.ts';
import { ALL_CHECKERS } from './checkers/all.ts';
import type { Checker, CheckerFactory, ReplicaRow, RepositoryRow, SqlState } from './checkers/checker.ts';
import { ReplicaOnDisk } from './disk/node-disk.ts';
import { Faults } from './faults.ts';
import { REAL, type Guards } from './guards.ts';
import { History, type PushDone } from './history.ts';
import { Network } from './network.ts';
import type { SimulationOptions } from './options.ts';
import { ObjectGraph } from './parts/objects.ts';
import type { Observer } from './parts/observer.ts';
import { ControllerLife, SimController } from './parts/sim-controller.ts';
import { SimClient } from './parts/sim-client.ts';
import { NodeLife, SimNode } from './parts/sim-node.ts';
import { planFaults, type PlannedFault } from './plan.ts';
import { Random } from './random.ts';
import { Schedule } from './schedule.ts';
import { TurnLocks } from './store/shared-turn.ts';
import { STORE } from './store/sim-sql.ts';
import { SimStore } from './store/sim-store.ts';
import { giveTimeBack, takeOverTime } from './world-time.ts';

/** What HEAD of every repository points at in the beginning. */
export const HEAD = 'refs/heads/main';

/** Who was found to be violated, how, and when. */
export interface Violation {
  checker: string;
  problem: string;
  atMs: number;
}

export interface RunResult {
  violation: Violation | undefined;
  /** Names of all that struck and was done: what a run with `only` may keep. */
  struck: readonly string[];
  events: number;
  pushes: { acknowledged: number; failed: number; unknown: number };
  endedAtMs: number;
}

export interface RunInput {
  seed: number;
  options: SimulationOptions;
  /** Names of faults and operations that may be; undefined for all. */
  only?: ReadonlySet<string>;
  guards?: Guards;
  checkers?: readonly CheckerFactory[];
  /** Told every line of the story. */
  tell?: (atMs: number, who: string, text: string) => void;
}

/** One run: a cluster of real parts in a world that the seed decides, watched by the checkers. */
export class Simulation {
  readonly options: SimulationOptions;
  readonly guards: Guards;
  readonly schedule = new Schedule();
  readonly faults: Faults;
  readonly network: Network;
  readonly store = new SimStore();
  readonly turnLocks = new TurnLocks();
  readonly objects = new ObjectGraph();
  readonly history = new History();
  readonly observer: Observer;
  readonly nodes: SimNode[];
  readonly controllers: SimController[];
  readonly repositories: string[];
  readonly trace: ((who: string, text: string) => void) | undefined;
  readonly #clients: SimClient[];
  readonly #checkers: Checker[];
  readonly #seed: number;
  readonly #streams = new Map<string, Random>();
  readonly #plan: { name: string; fault: PlannedFault }[];
  readonly #backups = new Map<PlannedFault, SimNode['disk']>();
  readonly #setBack = new Set<string>();
  readonly #pushes = new Map<Command, PushDone>();
  #ids = 0;
  #violation: Violation | undefined;

  constructor(input: RunInput) {
    const { seed, options, tell } = input;
    this.#seed = seed;
    this.options = options;
    this.trace = tell === undefined ? undefined : (who, text) => tell(this.schedule.now, who, text);
    this.faults = new Faults(seed, options.probabilities, input.only);
    this.network = new Network(this.schedule, this.faults, this.random('network'), this.trace);
    const observe = this.#observePorts.bind(this);
    const guards = input.guards ?? REAL;
    this.guards = { ...guards, ports: (ports) => guards.ports(observe(ports)), repairPorts: (ports) => guards.repairPorts(this.#observeRepair(ports)) };
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new SimNode(`n${i + 1}`));
    this.controllers = Array.from({ length: options.controllers }, (_, i) => new SimController(`c${i + 1}`));
    this.repositories = Array.from({ length: options.repositories }, (_, i) => `repository${i + 1}`);
    this.#clients = Array.from({ length: options.clients }, (_, i) => new SimClient(this, `client${i + 1}`));
    this.#plan = planFaults(options, this.random('plan'));
    this.#checkers = (input.checkers ?? ALL_CHECKERS).map((make) => {
      const checker: Checker = make(this, (problem) => this.violate(checker.name, problem));
      return checker;
    });
    this.observer = this.#makeObserver();
  }

  async run(): Promise<RunResult> {
    const { options } = this;
    takeOverTime(this.schedule, this.random('ids'));
    const unhandled = (error: unknown) => this.violate('nothing fails unseen', `a rejected promise that nobody handles: ${String((error as Error).stack)}`);
    process.on('unhandledRejection', unhandled);
    // Thousands of refusals belong to a run, and nobody looks at where they were made, unless the story is told.
    const { stackTraceLimit } = Error;
    if (this.trace === undefined) Error.stackTraceLimit = 0;
    try {
      this.#found();
      for (const controller of this.controllers) this.startController(controller);
      for (const node of this.nodes) this.startNode(node, !options.coldStart);
      for (const client of this.#clients) client.start();
      for (const { name, fault } of this.#plan) this.#schedule(name, fault);
      await this.#untilTheEnd();
      if (this.#violation === undefined) for (const checker of this.#checkers) if (this.#violation === undefined) checker.atEnd?.();
    } finally {
      process.off('unhandledRejection', unhandled);
      Error.stackTraceLimit = stackTraceLimit;
      giveTimeBack();
      this.store.close();
    }
    const count = (kind: PushDone['outcome']['kind']) => this.history.pushes.filter(({ outcome }) => outcome.kind === kind).length;
    return {
      violation: this.#violation, struck: this.faults.struck, events: this.schedule.events, endedAtMs: this.schedule.now,
      pushes: { acknowledged: this.history.pushes.filter(({ outcome }) => outcome.kind === 'answered' && outcome.copies > 0).length, failed: count('failed'), unknown: count('unknown') },
    };
  }

  /** A stream of random numbers for one purpose. */
  random(purpose: string): Random {
    let random = this.#streams.get(purpose);
    if (random === undefined) this.#streams.set(purpose, random = new Random(this.#seed, purpose));
    return random;
  }

  newId(): string {
    return (++this.#ids).toString(16).padStart(32, '0');
  }

  /** Ids here are small numbers. */
  short(id: string): string {
    return id.replace(/^0+/, '');
  }

  positionText({ generation, digest }: { generation: number; digest: string }): string {
    return `generation ${generation} (${digest.slice(0, 8)})`;
  }

  node(name: string): SimNode {
    return this.nodes.find((node) => node.name === name)!;
  }

  violate(checker: string, problem: string): void {
    this.#violation ??= { checker, problem, atMs: this.schedule.now };
    this.schedule.stop();
  }

  /** What a part does in the background: an error that nobody expects ends the run. */
  watch(who: string, work: Promise<unknown>): void {
    void this.expected(who, work).catch(() => {});
  }

  /** Passes through; an error that isn't one of the catalogue, or `internal`, is no fault of the world. */
  async expected<T>(who: string, work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      const { code, fields, cause } = asTrivetError(error);
      if (code === 'internal') this.observer.impossible(who, `${String((cause as Error | undefined)?.stack ?? cause)} ${JSON.stringify(fields)}`);
      throw error;
    }
  }

  startNode(node: SimNode, warm = false): void {
    node.lives++;
    node.life = new NodeLife(this, node, String(node.lives));
    this.schedule.actAs(node.life.process);
    if (warm) node.life.resume();
    else node.life.start();
  }

  startController(controller: SimController): void {
    controller.lives++;
    controller.life = new ControllerLife(this, controller, controller.lives);
    this.schedule.actAs(controller.life.process);
    controller.life.start();
  }

  /** Ends a program; unless told otherwise it starts again by itself a little later. */
  crash(machine: SimNode | SimController, where: string, startsAgain = true): void {
    const { life } = machine;
    if (life === undefined) return;
    const random = this.random('crashes');
    machine.life = undefined;
    const power = machine instanceof SimNode && random.chance(0.5);
    this.trace?.(machine.name, `${power ? 'loses power' : 'is killed'} ${where}`);
    life.process.kill();
    if (power) machine.disk.lose(random);
    if (startsAgain) this.schedule.after(random.between(5, 200), () => this.#startAgain(machine));
  }

  /** Every replica that is open in a node's memory, with what SQL calls it. */
  openReplicas(): { node: string; replica: Replica; state: string }[] {
    const states = new Map(this.replicaRows().map((row) => [`${row.node_id} ${row.repository_id}`, row.state]));
    return this.nodes.flatMap((node) => [...node.life?.replicas.opened ?? []].map((replica) => (
      { node: node.name, replica, state: states.get(`${node.name} ${replica.id}`)! })));
  }

  /** What keeps the cluster from being at rest; undefined when nothing does. */
  unrest(): string | undefined {
    if (this.#clients.some((client) => client.busy)) return 'a client still waits';
    for (const machine of [...this.nodes, ...this.controllers]) if (machine.life === undefined) return `${machine.name} is down`;
    for (const node of this.nodes) {
      if (!node.life!.status().ready) return `${node.name} is not ready`;
      const doubter = this.controllers.find(({ life }) => life!.registry.usable(node.name) === undefined);
      if (doubter !== undefined) return `${doubter.name} can't use ${node.name}`;
    }
    const open = this.openReplicas();
    for (const { node, replica } of open) {
      if (replica.promise !== undefined) return `${node} holds a promise`;
      if (replica.votes.size > 0) return `${node} holds votes`;
    }
    const positions = new Map(open.map(({ node, replica }) => [`${node} ${replica.id}`, replica.position]));
    for (const row of this.replicaRows()) {
      if (row.state !== 'current') return `SQL calls ${row.node_id} ${row.state}`;
      const position = positions.get(`${row.node_id} ${row.repository_id}`);
      if (position?.generation !== row.generation) return `${row.node_id} is at generation ${position?.generation}, not at SQL's ${row.generation}`;
    }
    if (this.store.all("SELECT 1 FROM repair_jobs WHERE state IN ('waiting', 'running') LIMIT 1", []).length > 0) return 'a repair job is open';
    return undefined;
  }

  #startAgain(machine: SimNode | SimController): void {
    if (machine.life !== undefined) return;
    this.trace?.(machine.name, 'starts');
    if (machine instanceof SimNode) this.startNode(machine);
    else this.startController(machine);
  }

  /** What is there when the run begins: repositories at generation 0, on all nodes. */
  #found(): void {
    const { digest } = new RefTable(HEAD, new Map());
    const now = new Date();
    for (const name of this.repositories) {
      this.store.run(
        `INSERT INTO repositories (id, name, object_format, default_branch, replication_factor, generation, refs_digest,
           deny_non_fast_forwards, deny_deletes, created_at) VALUES (?, ?, 'sha1', ?, ?, 0, ?, 0, 0, ?)`,
        [name, name, HEAD, this.nodes.length, digest, now],
      );
    }
    for (const node of this.nodes) {
      this.store.run("INSERT INTO nodes (id, url, boot, state, seen_at) VALUES (?, ?, '0', 'active', ?)", [node.name, node.name, now]);
      for (const name of this.repositories) {
        node.disk.replicas.set(name, new ReplicaOnDisk({ repository: name, objectFormat: 'sha1', generation: 0, digest }, HEAD));
        this.store.run(
          "INSERT INTO replicas (repository_id, node_id, state, generation, digest, changed_at) VALUES (?, ?, 'current', 0, ?, ?)",
          [name, node.name, digest, now],
        );
      }
    }
    this.store.onCommit = () => this.#sqlChanged();
    this.store.committed();
  }

  /** Until every client is done, and in a run for liveness until the cluster is at rest and was read once more. */
  async #untilTheEnd(): Promise<void> {
    const { liveness, activeMs, settleMs, clientMs } = this.options;
    if (!liveness) {
      const look = () => {
        if (this.#clients.every((client) => !client.busy)) this.schedule.stop();
        else this.schedule.after(20, look);
      };
      this.schedule.after(20, look);
      await this.schedule.run(activeMs + 4 * clientMs);
      return;
    }
    this.schedule.after(activeMs, () => this.#mend());
    let resting = 0;
    const look = () => {
      resting = this.schedule.now > activeMs && this.unrest() === undefined ? resting + 1 : 0;
      // Longer than the latest message can be on its way.
      if (resting >= 3) this.schedule.stop();
      else this.schedule.after(100, look);
    };
    this.schedule.after(activeMs, look);
    await this.schedule.run(activeMs + settleMs);
    if (this.#violation === undefined && this.unrest() === undefined) await this.#readOnceMore();
  }

  /** Every controller is asked for every repository. */
  async #readOnceMore(): Promise<void> {
    let open = 0;
    for (const { name, life } of this.controllers) {
      for (const repository of this.repositories) {
        open++;
        const sentAt = this.schedule.now;
        life!.read(repository).then(
          (refs) => this.observer.read({ operation: `last.${name}`, client: `the last reader at ${name}`, repository, sentAt, answeredAt: this.schedule.now, ...refs }),
          (error: unknown) => this.violate('the cluster comes to rest', `long after the last fault ${name} can not read ${repository}: ${asTrivetError(error).code}`),
        ).finally(() => { if (--open === 0) this.schedule.stop(); });
      }
    }
    await this.schedule.run(this.schedule.now + 10_000);
  }

  /** The end of all faults. */
  #mend(): void {
    this.trace?.('the world', 'mends everything; from here on nothing fails');
    this.faults.end();
  }

  #schedule(name: string, fault: PlannedFault): void {
    if (fault.kind === 'old-disk') {
      this.schedule.after(fault.backupAt, () => { this.#backups.set(fault, this.node(fault.node).disk.copy()); });
    }
    this.schedule.after(fault.at, () => {
      if (!this.faults.allows(name)) return;
      const mend = this.#begin(fault);
      if (mend !== undefined) this.schedule.after(this.options.liveness ? Math.min(fault.end, this.options.activeMs) - fault.at : fault.end - fault.at, mend);
    });
  }

  /** @returns what ends it */
  #begin(fault: PlannedFault): (() => void) | undefined {
    switch (fault.kind) {
      case 'partition': {
        this.trace?.('the network', `is cut: nothing passes from ${fault.cuts.map(([from, to]) => `${from} to ${to}`).join(', from ')}`);
        const mends = fault.cuts.map(([from, to]) => this.network.cut(from, to));
        return () => {
          this.trace?.('the network', 'is whole again');
          for (const mend of mends) mend();
        };
      }
      case 'crash': {
        const machine = this.#machine(fault.machine);
        this.crash(machine, 'from outside', false);
        return () => this.#startAgain(machine);
      }
      case 'old-disk': return this.#setDiskBack(fault);
      case 'full-disk': {
        const node = this.node(fault.node);
        this.trace?.(node.name, 'has a full disk');
        node.disk.full = true;
        return () => {
          this.trace?.(node.name, 'has room on its disk again, and is started anew');
          node.disk.full = false;
          this.crash(node, 'by its operator');
        };
      }
      case 'sql-outage':
        this.trace?.('SQL', 'goes away');
        this.store.up = false;
        return () => {
          this.trace?.('SQL', 'is back');
          this.store.up = true;
        };
      case 'clock-jump': {
        this.trace?.(fault.machine, `has its clock set by ${Math.round(fault.byMs)} ms`);
        const clock = fault.machine === STORE ? this.store : this.#machine(fault.machine);
        clock.skewMs += fault.byMs;
        return () => { clock.skewMs -= fault.byMs; };
      }
    }
  }

  /** A node comes up with an old disk. Never more than a minority of nodes at a time: more can lose what was acknowledged. */
  #setDiskBack(fault: PlannedFault & { kind: 'old-disk' }): (() => void) | undefined {
    const node = this.node(fault.node);
    if (!this.#setBack.has(node.name) && this.#setBack.size >= Math.floor((this.options.nodes - 1) / 2)) return undefined;
    this.crash(node, 'and its disk is taken away', false);
    this.#setBack.add(node.name);
    return () => {
      if (node.life !== undefined) return;
      this.trace?.(node.name, `comes up with the disk it had at ${Math.round(fault.backupAt)} ms`);
      node.disk = this.#backups.get(fault)!;
      for (const checker of this.#checkers) checker.rolledBack?.(node.name);
      this.startNode(node);
    };
  }

  /** The nastiest moment for an old disk: a promise was given, and the disk comes back as it was before. */
  #mayLosePromise(name: string): void {
    if (!this.faults.strikes('promise-gone')) return;
    const random = this.random('promise-gone');
    const at = this.schedule.now;
    const fault = { kind: 'old-disk' as const, at, end: 0, node: name, backupAt: at };
    this.#backups.set(fault, this.node(name).disk.copy());
    this.schedule.after(random.between(1, 20), () => {
      const mend = this.#setDiskBack(fault);
      if (mend !== undefined) this.schedule.after(random.between(1, 20), mend);
    });
  }

  #machine(name: string): SimNode | SimController {
    return this.nodes.find((node) => node.name === name) ?? this.controllers.find((controller) => controller.name === name)!;
  }

  replicaRows(): ReplicaRow[] {
    return this.store.all('SELECT repository_id, node_id, state, generation, digest FROM replicas', []) as unknown as ReplicaRow[];
  }

  #sqlChanged(): void {
    const state = this.#sqlState();
    const { repositories } = state;
    this.trace?.('SQL', `holds ${repositories.map((row) => `${row.id} at ${this.positionText({ generation: row.generation, digest: row.refs_digest })}, ${
      state.replicas.filter((replica) => replica.repository_id === row.id).map((replica) => `${replica.node_id} ${replica.state} ${replica.generation}`).join(', ')}`).join('; ')}`);
    for (const checker of this.#checkers) checker.sql?.(state);
  }

  #observePorts(ports: BatchPorts): BatchPorts {
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

  #observeRepair(ports: RepairPorts): RepairPorts {
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
    const repositories = this.store.all('SELECT id, generation, refs_digest, replication_factor FROM repositories', []) as unknown as RepositoryRow[];
    return { repositories, replicas: this.replicaRows() };
  }

  /** Commands keep their identity on the way from a client to a decision. */
  #pushOf(command: Command): PushDone | undefined {
    let push = this.#pushes.get(command);
    if (push === undefined) {
      for (const each of this.history.pushes) for (const own of each.commands) this.#pushes.set(own, each);
      push = this.#pushes.get(command);
    }
    return push;
  }

  #makeObserver(): Observer {
    return {
      recorded: (node, record) => {
        if (this.trace !== undefined && record.kind !== 'restart') {
          this.trace(node, record.kind === 'promise'
            ? `promises batch ${this.short(record.batch)}, to go from generation ${record.before.generation} to ${record.after.generation}`
            : `has ${record.kind} batch ${this.short(record.batch)}`);
        }
        if (record.kind === 'promise') this.#mayLosePromise(node);
        for (const checker of this.#checkers) checker.recorded?.(node, record);
      },
      moved: (node, repository, from, to, how) => {
        if (from !== undefined) this.trace?.(node, `goes from generation ${from} to ${this.positionText(to)} by a ${how}`);
        for (const checker of this.#checkers) checker.moved?.(node, repository, from, to, how);
      },
      pushed: (push) => { for (const checker of this.#checkers) checker.pushed?.(push); },
      read: (read) => {
        this.history.reads.push(read);
        this.trace?.(read.client, `reads ${read.repository} at ${this.positionText(read)}`);
        for (const checker of this.#checkers) checker.read?.(read);
      },
      impossible: (where, problem) => this.violate('nothing impossible happens', `${where}: ${problem}`),
    };
  }
}
