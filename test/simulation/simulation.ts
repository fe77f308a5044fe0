import { asTrivetError } from '@trivet/proto/errors.ts';
import type { Replica } from '../../replica/repository/replica.ts';
import { ALL_CHECKERS } from './checkers/all.ts';
import type { CheckerFactory, ReplicaRow } from './checkers/checker.ts';
import { Faults } from './faults.ts';
import { found } from './founding.ts';
import { REAL, type Guards } from './guards.ts';
import { History, type PushDone } from './history.ts';
import { Mishaps } from './mishaps.ts';
import { Network } from './network.ts';
import type { SimulationOptions } from './options.ts';
import { ObjectGraph } from './parts/objects.ts';
import type { Observer } from './parts/observer.ts';
import { ControllerLife, SimController } from './parts/sim-controller.ts';
import { SimClient } from './parts/sim-client.ts';
import { NodeLife, SimNode } from './parts/sim-node.ts';
import { planFaults } from './plan.ts';
import { Random } from './random.ts';
import { Schedule } from './schedule.ts';
import { TurnLocks } from './store/shared-turn.ts';
import { SimStore } from './store/sim-store.ts';
import { Watch } from './watch.ts';
import { giveTimeBack, takeOverTime } from './world-time.ts';
import { EPOCH_MS } from './parts/process.ts';

/** What every id begins with, as a batch is decided within days of its making or never: the time at which runs begin. */
const ID_TIME = EPOCH_MS.toString(16).padStart(12, '0');

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
  readonly mishaps: Mishaps = new Mishaps(this);
  readonly watch: Watch;
  readonly nodes: SimNode[];
  readonly controllers: SimController[];
  readonly repositories: string[];
  readonly trace: ((who: string, text: string) => void) | undefined;
  readonly #clients: SimClient[];
  readonly #seed: number;
  readonly #streams = new Map<string, Random>();
  #ids = 0;
  #violation: Violation | undefined;

  constructor(input: RunInput) {
    const { seed, options, tell } = input;
    this.#seed = seed;
    this.options = options;
    this.trace = tell === undefined ? undefined : (who, text) => tell(this.schedule.now, who, text);
    this.faults = new Faults(seed, options.probabilities, input.only);
    this.network = new Network(this.schedule, this.faults, this.random('network'), this.trace);
    const guards = input.guards ?? REAL;
    this.guards = { ...guards, ports: (ports) => guards.ports(this.watch.observePorts(ports)), repairPorts: (ports) => guards.repairPorts(this.watch.observeRepair(ports)) };
    this.nodes = Array.from({ length: options.nodes }, (_, i) => new SimNode(`n${i + 1}`));
    this.controllers = Array.from({ length: options.controllers }, (_, i) => new SimController(`c${i + 1}`));
    this.repositories = Array.from({ length: options.repositories }, (_, i) => `repository${i + 1}`);
    this.#clients = Array.from({ length: options.clients }, (_, i) => new SimClient(this, `client${i + 1}`));
    this.watch = new Watch(this, input.checkers ?? ALL_CHECKERS);
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
      found(this);
      this.store.onCommit = () => this.watch.sqlChanged();
      this.store.committed();
      for (const controller of this.controllers) this.startController(controller);
      for (const node of this.nodes) this.startNode(node, !options.coldStart);
      for (const client of this.#clients) client.start();
      for (const { name, fault } of planFaults(options, this.random('plan'))) this.mishaps.schedule(name, fault);
      await this.#untilTheEnd();
      this.watch.end(() => this.#violation !== undefined);
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
    return ID_TIME + (++this.#ids).toString(16).padStart(20, '0');
  }

  /** Behind their time, ids here are small numbers. */
  short(id: string): string {
    return (id.startsWith(ID_TIME) ? id.slice(ID_TIME.length) : id).replace(/^0+/, '');
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

  get observer(): Observer {
    return this.watch.observer;
  }

  /** What a part does in the background: an error that nobody expects ends the run. */
  background(who: string, work: Promise<unknown>): void {
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
    if (startsAgain) this.schedule.after(random.between(5, 200), () => this.startAgain(machine));
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

  /** Starts a program that isn't running. */
  startAgain(machine: SimNode | SimController): void {
    if (machine.life !== undefined) return;
    this.trace?.(machine.name, 'starts');
    if (machine instanceof SimNode) this.startNode(machine);
    else this.startController(machine);
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

  replicaRows(): ReplicaRow[] {
    return this.store.all('SELECT repository_id, node_id, state, generation, digest FROM replicas', []) as unknown as ReplicaRow[];
  }
}
