import type { FastifyBaseLogger } from 'fastify';
import type { Agent } from 'undici';
import { systemClock } from '@trivet/proto/clock.ts';
import { asTrivetError } from '@trivet/proto/errors.ts';
import { makeFailpoint } from '@trivet/proto/failpoint.ts';
import { newId } from '@trivet/proto/id.ts';
import { VERSION } from '@trivet/proto/version.ts';
import type { ControllerConfig } from './config.ts';
import { DutyRoster } from './duties.ts';
import { Events } from './events.ts';
import { describeNode } from './http/describe-node.ts';
import { describeJob } from './http/repair-jobs.ts';
import { makeMetrics, type ControllerMetrics } from './metrics.ts';
import { MaintenancePermission } from './maintenance/permission.ts';
import { MaintenanceRequests } from './maintenance/requests.ts';
import { Clocks } from './nodes/clocks.ts';
import { Joining } from './nodes/joining.ts';
import { makeNodeAgent, NodeClient } from './nodes/node-client.ts';
import { Lifelines } from './nodes/lifelines.ts';
import { NodeRegistry } from './nodes/node-registry.ts';
import { Silence } from './nodes/silence.ts';
import { NodeStates } from './nodes/states.ts';
import { Delivery } from './outbox/delivery.ts';
import { Placement } from './placement/placement.ts';
import { SurplusRemoval } from './placement/removals.ts';
import { Presence } from './presence.ts';
import { Admission } from './repair/admission.ts';
import { AtRisk } from './repair/at-risk.ts';
import { DataLoss } from './repair/data-loss.ts';
import { Listing } from './repair/listing.ts';
import { makeRepairPorts, makeRepairTargets } from './repair/ports.ts';
import { Reconcile } from './repair/reconcile.ts';
import { Repair } from './repair/repair.ts';
import { RepairRequests } from './repair/requests.ts';
import { Verification } from './repair/verification.ts';
import { Changes } from './repositories/changes.ts';
import { Creation } from './repositories/creation.ts';
import { Importing } from './repositories/importing.ts';
import { TrashBin } from './repositories/trash-bin.ts';
import { Reader } from './routing/reader.ts';
import { Live } from './status/live.ts';
import { ratesOf } from './status/rates.ts';
import { Status } from './status/status.ts';
import { RepositoriesAtRisk } from './store/at-risk.ts';
import { claimCluster, verifyCluster } from './store/clusters.ts';
import { Controllers } from './store/controllers.ts';
import { DataLosses } from './store/data-losses.ts';
import { openDatabase, type Database } from './store/database.ts';
import { Decisions } from './store/decisions.ts';
import { Duties } from './store/duties.ts';
import { Findings } from './store/findings.ts';
import { Imports } from './store/imports.ts';
import { RepairJobs } from './store/jobs.ts';
import { MaintenanceLeases } from './store/maintenance-leases.ts';
import { Membership } from './store/membership.ts';
import { Nodes } from './store/nodes.ts';
import { Outbox } from './store/outbox.ts';
import { Replicas } from './store/replicas.ts';
import { Removals } from './store/removals.ts';
import { Repositories } from './store/repositories.ts';
import { RepositoryChanges } from './store/repository-changes.ts';
import { Trash } from './store/trash.ts';
import { TurnLock } from './store/turn-lock.ts';
import { Verifications } from './store/verifications.ts';
import { Coordinator, type VotedTransaction } from './transaction/coordinator.ts';
import { Gates } from './transaction/gates.ts';
import { makePorts } from './transaction/ports.ts';
import { Transactions } from './transaction/transactions.ts';
import { Turns } from './transaction/turns.ts';

/** Of a hundred answers of healthy nodes hardly one comes so long after those of the quorum. */
const LATE_MS = 50;
/** What fits in the column `holder` of a duty. */
const MAX_HOLDER = 100;

/** All parts of a controller, wired. */
export interface ControllerContext {
  config: ControllerConfig;
  log: FastifyBaseLogger;
  events: Events;
  metrics: ControllerMetrics;
  database: Database;
  /** The cluster's id. */
  cluster: string;
  controllers: Controllers;
  presence: Presence;
  status: Status;
  live: Live;
  repositories: Repositories;
  replicas: Replicas;
  nodeRows: Nodes;
  decisions: Decisions;
  transactions: Transactions;
  jobs: RepairJobs;
  findings: Findings;
  verifications: Verifications;
  nodes: NodeRegistry;
  lifelines: Lifelines;
  reader: Reader;
  coordinator: Coordinator;
  creation: Creation;
  changes: Changes;
  trash: TrashBin;
  imports: Imports;
  importing: Importing;
  admission: Admission;
  reconcile: Reconcile;
  repairs: RepairRequests;
  verification: Verification;
  maintenance: MaintenanceRequests;
  maintenancePermission: MaintenancePermission;
  listing: Listing;
  atRisk: AtRisk;
  dataLoss: DataLoss;
  dataLosses: DataLosses;
  delivery: Delivery;
  duties: DutyRoster;
  joining: Joining;
  clocks: Clocks;
  nodeStates: NodeStates;
  removals: Removals;
  placement: Placement;
  surplusRemoval: SurplusRemoval;
  agent: Agent;
  turnLock: TurnLock;
  /** Set once the process was told to stop: it answers what runs and takes nothing new. */
  stopping: boolean;
}

export async function makeContext(config: ControllerConfig, log: FastifyBaseLogger): Promise<ControllerContext> {
  const database = await openDatabase(config.store, {
    tls: config.storeTls, admit: (sql) => verifyCluster(sql, config.token, config.replaceToken),
  });
  const cluster = await claimCluster(database.sql, config.token, config.replaceToken);
  const controllers = new Controllers(database);
  const repositories = new Repositories(database);
  const replicas = new Replicas(database);
  const nodeRows = new Nodes(database);
  const decisions = new Decisions(database, config.controller);
  const jobs = new RepairJobs(database);
  const findings = new Findings(database);
  const verifications = new Verifications(database);
  const dataLosses = new DataLosses(database);
  const removals = new Removals(database);
  const imports = new Imports(database);
  const membership = new Membership(database);
  const turnLock = new TurnLock(database);

  const events: Events = new Events(log, () => metrics);
  const agent = makeNodeAgent();
  const client = (node: string, url: string) => new NodeClient(node, url, config.token, agent, config.heartbeatDeadlineMs);
  const clocks = new Clocks(config.clockSkewMs, (node, skewMs, wrong) => events.clockChanged(node, skewMs, wrong));
  const nodes: NodeRegistry = new NodeRegistry(nodeRows, client, {
    clockSeen: (node, skewMs) => {
      events.clockSeen(node, skewMs);
      clocks.seen(node.id, skewMs);
    },
    healthChanged: (node) => {
      if (node.healthy) silence.heard(node.id);
      events.healthChanged(node);
    },
  });
  const silence = new Silence({
    clock: systemClock,
    lateMs: LATE_MS,
    silentMs: config.deadlines.silentMs,
    // One that isn't known any more isn't waited for.
    ask: async (node) => nodes.get(node)?.client.status(),
    heartbeatMs: (node) => nodes.get(node)?.heartbeatMs ?? 0,
    changed: (node, silent) => events.silenceChanged(node, silent),
  });
  const turns = new Turns<VotedTransaction>(turnLock, config.deadlines.turnMs, systemClock, new Gates(systemClock, config.deadlines.drainMs));
  const failpoint = makeFailpoint(config.failpoints);
  const boot = newId();
  const ports = makePorts({
    repositories, replicas, decisions, nodes, clock: systemClock, silence, newId, random: Math.random, coordinator: boot, failpoint, onMark: () => reconcile.poke(),
  });
  const coordinator = new Coordinator({ nodes, ports, turns, deadlines: config.deadlines, limits: config.limits, events });
  const metrics: ControllerMetrics = makeMetrics(config.controller, { voting: () => coordinator.voting, waiting: () => turns.waiting });
  const onFound = (repository: string, node: string, kind: string, detail: string) => events.found(repository, node, kind, detail);
  const onDue = () => reconcile.poke();
  const { leaseMs } = config.repair;
  const repair = new Repair(makeRepairPorts({ repositories, replicas, jobs, nodes, turns, leaseMs, failpoint, clock: systemClock }), { bytesPerSecond: config.repair.bytesPerSecond, turnMs: config.repair.turnMs });
  const reconcile: Reconcile = new Reconcile({
    jobs, repair, targets: makeRepairTargets(nodes), events, clock: systemClock,
    options: { holder: config.controller, concurrency: config.repair.concurrency, perNode: config.repair.perNode, leaseMs },
  });
  const creation = new Creation(repositories, nodes, failpoint);
  const verification = new Verification({
    verifications, repositories, findings, nodes, events, clock: systemClock, random: Math.random, options: config.verification, onFound: onDue,
  });
  const transactions = new Transactions(decisions, repositories, nodes);
  const atRisk = new AtRisk(new RepositoriesAtRisk(database), repositories, jobs, nodes);
  const nodeStates = new NodeStates({ rows: nodeRows, nodes, membership, removals, onChanged: (node, state) => events.nodeStateChanged(node, state) });
  const status = new Status({
    identity: { cluster, controller: config.controller, version: VERSION },
    intervals: { verifyMs: config.verification.verifyIntervalMs, checkMs: config.verification.checkIntervalMs },
    repositories, replicas, atRisk, nodes: nodeStates, controllers, jobs, findings, verifications, transactions,
    describeNode: (view) => describeNode(view, (skewMs) => clocks.isWrong(skewMs)), describeJob,
  });
  return {
    config, log, events, metrics, database, cluster, controllers, repositories, replicas, nodeRows, decisions, jobs, findings, verifications, dataLosses,
    clocks, removals, nodes, coordinator, reconcile, verification, agent, turnLock,
    lifelines: new Lifelines((node, signal) => node.client.lifeline(boot, signal), (node) => nodes.ask(node.id)),
    transactions, atRisk, nodeStates,
    repairs: new RepairRequests({ repositories, jobs, verification, onOpened: onDue }),
    maintenance: new MaintenanceRequests(repositories, nodes),
    maintenancePermission: new MaintenancePermission({ repositories, leases: new MaintenanceLeases(database), isUsable: (node) => nodes.usable(node) !== undefined }),
    listing: new Listing({ nodes, repositories, replicas, removals, findings, youngMs: config.unknownAfterMs, onFound }),
    dataLoss: new DataLoss({ losses: dataLosses, repositories, nodes, heard: nodeRows, onAccepted: (record) => { events.dataLossAccepted(record); onDue(); } }),
    reader: new Reader(nodes, silence, events, systemClock, config.deadlines.readMs),
    creation, imports,
    importing: new Importing({
      imports, repositories, creation, nodes, coordinator, events, failpoint,
      options: { holder: config.controller, concurrency: config.importConcurrency, leaseMs, maxCommands: config.limits.maxCommands },
    }),
    changes: new Changes({ changes: new RepositoryChanges(database), repositories, nodes, coordinator, failpoint }),
    trash: new TrashBin({
      trash: new Trash(database), repositories, retentionMs: config.trashRetentionMs, failpoint, onPurged: (repository) => events.purged(repository),
    }),
    joining: new Joining(nodeRows, cluster, client),
    placement: new Placement({
      membership, nodeRows, nodes, verify: (repository) => verification.verifyMembers(repository), events, clock: systemClock, random: Math.random,
      options: config.placement,
    }),
    surplusRemoval: new SurplusRemoval(removals, nodes, events),
    admission: new Admission(replicas, findings, nodeRows, onFound),
    delivery: new Delivery(new Outbox(database), (event) => events.delivered(event)),
    presence: new Presence(controllers, { id: config.controller, boot, version: VERSION, settings: config.shared }, events, ratesOf(() => metrics)),
    status, live: new Live(() => status.get(), systemClock, (error) => asTrivetError(error).code),
    // The boot's id tells two processes of one name apart.
    duties: new DutyRoster(new Duties(database), `${config.controller.slice(0, MAX_HOLDER - boot.length - 1)}/${boot}`, systemClock),
    stopping: false,
  };
}
