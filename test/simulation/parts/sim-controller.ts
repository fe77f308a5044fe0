import { TrivetError } from '@trivet/proto/errors.ts';
import type { PushHead } from '@trivet/proto/receive-pack.ts';
import type { KnownNode } from '../../../controller/nodes/node-registry.ts';
import { NodeRegistry } from '../../../controller/nodes/node-registry.ts';
import { Silence } from '../../../controller/nodes/silence.ts';
import type { Admission } from '../../../controller/repair/admission.ts';
import { makeRepairPorts, makeRepairTargets } from '../../../controller/repair/ports.ts';
import { Reconcile } from '../../../controller/repair/reconcile.ts';
import { Repair } from '../../../controller/repair/repair.ts';
import { Verification } from '../../../controller/repair/verification.ts';
import { Reader } from '../../../controller/routing/reader.ts';
import type { Database } from '../../../controller/store/database.ts';
import type { Decisions, Settled } from '../../../controller/store/decisions.ts';
import { Findings } from '../../../controller/store/findings.ts';
import { RepairJobs } from '../../../controller/store/jobs.ts';
import { Nodes } from '../../../controller/store/nodes.ts';
import type { NodeState } from '../../../controller/store/rows.ts';
import type { Replicas } from '../../../controller/store/replicas.ts';
import { Repositories } from '../../../controller/store/repositories.ts';
import { Verifications } from '../../../controller/store/verifications.ts';
import { Coordinator, type PushResult, type VotedTransaction } from '../../../controller/transaction/coordinator.ts';
import { Gates } from '../../../controller/transaction/gates.ts';
import { makePorts } from '../../../controller/transaction/ports.ts';
import { Turns } from '../../../controller/transaction/turns.ts';
import type { RefsSnapshot } from '@trivet/proto/messages.ts';
import type { Simulation } from '../simulation.ts';
import { SimSql } from '../store/sim-sql.ts';
import { EPOCH_MS, SimProcess } from './process.ts';
import { SimNodeClient, type SimRead } from './sim-node-client.ts';

const LIMITS = {
  maxCommands: 100, maxPushOptionBytes: 0, maxPushBytes: 1_000_000, maxFetchRequestBytes: 0, maxConcurrentPushes: 64, maxBatch: 8,
};
/** Virtual milliseconds, as the graces of options.ts. */
const LATE_MS = 2;
const nothing = () => {};
const NEVER = new AbortController().signal;

/** One life of a controller's program, wired of the real parts as `controller/context.ts` does. */
export class ControllerLife {
  readonly process: SimProcess;
  readonly repositories: Repositories;
  readonly replicas: Replicas;
  readonly decisions: Decisions;
  readonly registry: NodeRegistry;
  readonly turns: Turns<VotedTransaction>;
  readonly coordinator: Coordinator;
  readonly database: Database;
  readonly #admission: Admission;
  readonly #nodeRows: Nodes;
  readonly #reader: Reader;
  readonly #jobs: RepairJobs;
  readonly #reconcile: Reconcile;
  readonly #verification: Verification;
  readonly #simulation: Simulation;
  readonly #name: string;

  constructor(simulation: Simulation, controller: SimController, life: number) {
    const { schedule, faults, network, store, options, guards } = simulation;
    this.#simulation = simulation;
    this.#name = controller.name;
    this.process = new SimProcess(`${controller.name}/${life}`, schedule, () => controller.skewMs);
    const crash = (where: string) => simulation.crash(controller, where);
    const sql = guards.sql(new SimSql({
      store, process: this.process, machine: controller.name, network, faults, random: simulation.random('sql'), deadlineMs: options.sqlMs, slowMs: options.sqlSlowMs, crash,
      trace: simulation.trace,
    }));
    this.database = {
      dialect: 'sqlite', url: 'file::memory:', deadlineMs: options.sqlMs, sql,
      now: async () => new Date(EPOCH_MS + Math.floor(schedule.now + store.skewMs)),
      ping: async () => {}, close: async () => {},
    } as unknown as Database;
    this.repositories = new Repositories(this.database);
    this.replicas = new guards.Replicas(this.database);
    this.decisions = new guards.Decisions(this.database, this.process.name);
    this.#nodeRows = new Nodes(this.database);
    this.#jobs = new RepairJobs(this.database);
    const findings = new Findings(this.database);
    const found = (_repository: string, node: string, kind: string, detail: string) => simulation.trace?.(this.#name, `finds ${node} to be ${kind}: ${detail}`);
    this.#admission = new guards.Admission(this.replicas, findings, this.#nodeRows, found);
    const directory = { list: async () => (await sql.all('SELECT id, url, state, zone FROM nodes')) as unknown as { id: string; url: string; state: NodeState; zone: string }[] };
    this.registry = new NodeRegistry(directory, (name) => new SimNodeClient(simulation, simulation.node(name), this.process).asNodeClient(), {
      clockSeen: () => {},
      healthChanged: (node: KnownNode) => simulation.trace?.(this.#name, `takes ${node.id} for ${node.healthy ? 'healthy' : `unhealthy (${node.trouble})`}`),
    });
    const failpoint = async (where: string) => {
      if (faults.strikes('crash')) crash(`at ${where}`);
      if (!this.process.alive) await new Promise<void>(nothing);
    };
    const { clock } = this.process;
    const turnLocks = simulation.turnLocks.of(this.process, faults, simulation.random('turns'));
    this.turns = new Turns<VotedTransaction>(turnLocks, options.deadlines.turnMs, clock, new Gates(clock, options.deadlines.drainMs));
    const silence = new Silence({
      clock, lateMs: LATE_MS, silentMs: options.deadlines.silentMs, ask: async (node) => this.registry.get(node)?.client.status(), heartbeatMs: () => 0,
      changed: (node, silent) => simulation.trace?.(this.#name, `${silent ? 'hears nothing of' : 'hears again of'} ${node}`),
    });
    const repairPorts = makeRepairPorts({
      repositories: this.repositories, replicas: this.replicas, jobs: this.#jobs, nodes: this.registry, turns: this.turns, leaseMs: options.leaseMs, failpoint, clock,
    });
    this.#reconcile = new Reconcile({
      jobs: this.#jobs, repair: new Repair(guards.repairPorts(repairPorts), { bytesPerSecond: undefined, turnMs: 10_000 }), targets: makeRepairTargets(this.registry), clock,
      events: {
        repaired: (job, { way, rounds }) => simulation.trace?.(this.#name, `has brought ${job.node} back (${way}, ${rounds} rounds)`),
        repairFailed: (job, code) => simulation.trace?.(this.#name, `can not bring ${job.node} back: ${code}`),
        repairHandedOver: () => {},
      },
      options: { holder: this.process.name, concurrency: 4, perNode: 2, leaseMs: options.leaseMs },
    });
    const random = simulation.random('verification');
    this.#verification = new Verification({
      verifications: new Verifications(this.database), repositories: this.repositories, findings, nodes: this.registry,
      events: { verified: nothing, found }, clock, random: () => random.next(), onFound: () => this.#reconcile.poke(),
      options: { verifyIntervalMs: options.verifyIntervalMs, checkIntervalMs: options.verifyIntervalMs * 3, pauseMs: 50 },
    });
    const chance = simulation.random('retries');
    const ports = guards.ports(makePorts({
      repositories: this.repositories, replicas: this.replicas, decisions: this.decisions, nodes: this.registry, clock, silence,
      newId: () => simulation.newId(), random: () => chance.next(), coordinator: simulation.newId(),
      failpoint, onMark: () => this.#reconcile.poke(),
    }));
    this.coordinator = new Coordinator({
      nodes: this.registry, ports, turns: this.turns, deadlines: options.deadlines, limits: LIMITS,
      events: {
        phase: nothing,
        voteLost: (_repository, transaction, node, code) => simulation.trace?.(this.#name, `counts no vote of ${node} for push ${simulation.short(transaction)}: ${code}`),
        batch: (_repository, batch, transactions, outcome) => simulation.trace?.(this.#name, `batch ${simulation.short(batch)} of ${transactions}: ${outcome}`),
      },
    });
    this.#reader = new Reader(this.registry, silence, { asked: nothing }, clock, options.deadlines.readMs);
  }

  start(): void {
    const { options } = this.#simulation;
    const beat = async () => {
      await this.registry.refresh().catch(nothing);
      await this.registry.poll();
    };
    void beat();
    this.process.every(options.heartbeatMs, beat);
    this.process.every(options.reconcileMs, async () => this.#reconcile.poke());
    this.process.every(options.sweepMs, () => this.#reconcile.sweep());
    if (options.verifyIntervalMs > 0) this.process.every(options.verifyIntervalMs / 2, () => this.#verification.tick());
  }

  /** A push as `git-receive-pack` makes it. */
  async push(name: string, head: PushHead, pack: Buffer, signal: AbortSignal): Promise<PushResult> {
    const route = await this.repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    this.coordinator.participants(route);
    return this.coordinator.push(route, head, once(pack), signal);
  }

  /** A read of all refs. Who reads stays until it is answered. */
  async read(name: string): Promise<RefsSnapshot> {
    const route = await this.repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    const answer = await this.#reader.read({ route, path: '/info/refs', gitProtocol: undefined, requestId: '', signal: NEVER });
    return (answer as unknown as SimRead).refs;
  }

  // What nodes ask: as controller/http/internal.ts.

  async handshake(message: { node: string; url: string; boot: string }): Promise<object> {
    await this.#nodeRows.register({ id: message.node, url: message.url, boot: message.boot });
    await this.registry.refresh();
    return {};
  }

  async report(message: { node: string; boot: string; replicas: { repository: string; generation: number; digest: string }[] }): Promise<object> {
    await this.#admission.compare(message.node, message.boot, message.replicas);
    await this.registry.refresh();
    this.registry.trust(message.node);
    await this.#jobs.wake({ node: message.node });
    this.#reconcile.poke();
    return {};
  }

  async settle(message: { node: string; repository: string; batch: string; transactions: string[] }): Promise<Settled> {
    const { repository, batch, transactions } = message;
    return this.decisions.settle({ repository, batch, transactions });
  }
}

/** A machine on which a controller's program lives again and again. */
export class SimController {
  readonly name: string;
  life: ControllerLife | undefined;
  skewMs = 0;
  lives = 0;

  constructor(name: string) {
    this.name = name;
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}
