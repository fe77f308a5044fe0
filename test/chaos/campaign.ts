import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { RepositoryView } from '../cluster.ts';
import { Client, type Target } from './clients/client.ts';
import { judgeHistory } from './check/history.ts';
import { descriptorsOf, leftBehind } from './check/leftovers.ts';
import { judgeLogs } from './check/logs.ts';
import { judgeReplicas } from './check/replicas.ts';
import type { Violation } from './check/violation.ts';
import { DATABASE, Deployment } from './deployment/deployment.ts';
import { figuresOf, type Figures } from './figures.ts';
import { History } from './history/history.ts';
import { takeBackup } from './nemesis/faults.ts';
import type { FaultKind } from './nemesis/kinds.ts';
import { Nemesis } from './nemesis/nemesis.ts';
import { kindsFor, makeSchedule } from './nemesis/schedule.ts';
import { Random } from './random.ts';

export interface CampaignOptions {
  seed: number;
  durationMs: number;
  nodes: number;
  clients: number;
  /** Average pause between two faults. */
  pauseMs: number;
  /** Whether verification runs in the background, so that silent damage is found. */
  verification: boolean;
  /** Only these faults; all that can be done here when undefined. */
  only?: readonly FaultKind[];
  /** Told what goes on, a line at a time. */
  say(line: string): void;
  /** For controls of the checks: does something behind everybody's back once faults have ended, before anything is checked. */
  meddle?(deployment: Deployment, views: readonly RepositoryView[]): Promise<void>;
}

export interface CampaignResult {
  violations: Violation[];
  figures: Figures;
  history: History;
  deployment: Deployment;
}

const CONTROLLERS = 2;
const DISK_BYTES = { base: 256 * 1024 * 1024, eachMinute: 64 * 1024 * 1024 };
/** New repositories come into use so often: nothing combines packs yet, and a repository gets slower with each. */
const EPOCH_MS = 120_000;
/** Repair waits for up to a minute between two tries, and a busy machine adds to that. */
const CONVERGENCE_PATIENCE_MS = 240_000;
const QUIET_PATIENCE_MS = 120_000;
const POLL_MS = 200;
const WAITING_MS = 30_000;
/** What is due in hours or days is due in seconds here. A vote of a coordinator that died waits for its expiry, too. */
const SETTINGS = { TRIVET_PROMISE_DEADLINE_MS: '1000', TRIVET_VOTE_EXPIRY_MS: '20000', TRIVET_REPAIR_LEASE_MS: '10000' };
const VERIFICATION_SETTINGS = { TRIVET_VERIFY_INTERVAL_MS: '3000', TRIVET_CHECK_INTERVAL_MS: '5000' };

/** A deployment under clients and faults, from its start to the last check. Whoever called it stops and removes the deployment. */
export async function runCampaign(options: CampaignOptions): Promise<CampaignResult> {
  const { seed, durationMs, say } = options;
  const names = { nodes: numbered('node', options.nodes), controllers: numbered('controller', CONTROLLERS), database: DATABASE };
  const late: { history?: History } = {};
  let deaths = 0;
  const deployment = await Deployment.start({
    nodes: options.nodes, controllers: CONTROLLERS, diskBytes: DISK_BYTES.base + DISK_BYTES.eachMinute * Math.ceil(durationMs / 60_000),
    environment: { ...SETTINGS, ...(options.verification ? VERIFICATION_SETTINGS : {}) },
    onDeath: (part, how) => {
      deaths += 1;
      late.history?.note(`${part.name} ended by itself (${how}), and is started again`);
    },
    onStranger: (to) => late.history?.note(`a connection to ${to} came from none of the parts, or from one that is gone`),
  });
  const history = late.history = new History(join(deployment.directory, 'history.jsonl'));
  const disk = deployment.disk('node1');
  const kinds = kindsFor({ disks: disk.can, verification: options.verification }).filter((kind) => options.only?.includes(kind) ?? true);
  say(`${options.nodes} nodes, ${CONTROLLERS} controllers; each disk is ${{ ext4: 'an ext4 file system', tmpfs: 'a tmpfs', directory: 'a plain directory' }[disk.kind]}; everything is in ${deployment.directory}`);
  say(`faults: ${kinds.join(', ')}`);

  const epochs = new Epochs(deployment, history);
  await epochs.next();
  for (const node of deployment.nodes) await takeBackup(deployment, node.name);
  await deployment.untilReady(CONVERGENCE_PATIENCE_MS);
  const baseline = new Map(await Promise.all(deployment.parts.map(async (part) => [part.name, (await descriptorsOf(part.pid!)).length] as const)));

  const clients = numbered('client', options.clients).map((name) => new Client({
    name, history, directory: join(deployment.directory, 'clients'), controllers: names.controllers, random: new Random(seed, name),
    targets: () => epochs.current, gitUrl: (controller, repository) => deployment.gitUrl(controller, repository),
  }));
  const over = new AbortController();
  const working = Promise.all(clients.map((client) => client.run(over.signal)));
  // Awaited below; should it fail before, it is no unhandled rejection.
  working.catch(() => {});

  const schedule = makeSchedule({ seed, durationMs, ...names, kinds, pauseMs: options.pauseMs });
  const nemesis = new Nemesis({ deployment, history, schedule, repaired: () => isRepaired(deployment, options.verification) });
  // Waits for repairs come on top of what the schedule takes.
  const timeIsUp = AbortSignal.timeout(durationMs * 1.5 + WAITING_MS);
  const faultsAreOver = new AbortController();
  const turning = epochs.turn(faultsAreOver.signal);
  const progress = setInterval(() => say(progressOf(history)), 30_000);
  const violations: Violation[] = [];
  try {
    await nemesis.run(timeIsUp).finally(() => faultsAreOver.abort());
    await turning;
    violations.push(...await untilEverythingWorks(deployment, history, epochs.current));
  } finally {
    over.abort();
    await working;
    clearInterval(progress);
  }
  say(`faults are over; ${progressOf(history)}`);

  const convergence = await untilConverged(deployment, options.verification);
  violations.push(...convergence.violations);
  const views = await deployment.repositories(deployment.controllers[0]!);
  await options.meddle?.(deployment, views);
  for (const target of epochs.all) for (const controller of names.controllers) await clients[0]!.read(target, controller, 'final');
  if (convergence.violations.length === 0) violations.push(...await judgeReplicas(deployment, history, views));
  violations.push(...judgeHistory(history.records, new Map(views.map((view) => [view.name, view.id]))), ...await untilNothingIsLeft(deployment, baseline), ...await judgeLogs(deployment, new Set(kinds)));
  // While it stops, parts come and go that nobody tells of.
  delete late.history;
  history.close();
  const figures = figuresOf({ history, schedule, nemesis, convergenceMs: convergence.tookMs, deaths, options, repositories: epochs.all.length, disk: disk.kind });
  return { violations, figures, history, deployment };
}

/** The repositories in use: other ones from time to time, made while the faults go on. */
class Epochs {
  readonly all: Target[] = [];
  current: readonly Target[] = [];
  readonly #deployment: Deployment;
  readonly #history: History;
  #count = 0;

  constructor(deployment: Deployment, history: History) {
    this.#deployment = deployment;
    this.#history = history;
  }

  async turn(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await sleep(EPOCH_MS, undefined, { signal }).catch(() => {});
      if (!signal.aborted) await this.next(signal);
    }
  }

  async next(signal?: AbortSignal): Promise<void> {
    this.#count += 1;
    const wanted: [string, object][] = [
      ['plain', {}], ['sha256', { objectFormat: 'sha256' }], ['strict', { denyNonFastForwards: true, denyDeletes: true }],
    ];
    const made: Target[] = [];
    for (const [kind, body] of wanted) {
      const name = `${kind}-${this.#count}`;
      if (!await this.#create(name, body, signal)) break;
      made.push({ name, objectFormat: kind === 'sha256' ? 'sha256' : 'sha1' });
    }
    this.all.push(...made);
    if (made.length === wanted.length) this.current = made;
    this.#history.note(`new repositories: ${made.map(({ name }) => name).join(', ')}`);
  }

  /** @returns false when it couldn't be made while there was time */
  async #create(name: string, body: object, signal: AbortSignal | undefined): Promise<boolean> {
    for (let attempt = 0; signal?.aborted !== true; attempt++) {
      const { url } = this.#deployment.controllers[attempt % CONTROLLERS]!;
      const status = await fetch(`${url}/api/repos/${name}`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), signal: AbortSignal.timeout(20_000),
      }).then((response) => response.status, () => 0);
      // It may have been made by an attempt whose answer was lost.
      if (status === 201 || status === 409) return true;
      await sleep(POLL_MS);
    }
    return false;
  }
}

/** @param verification whether SQL's word is not enough, because disks may have been damaged silently */
async function isRepaired(deployment: Deployment, verification: boolean): Promise<boolean> {
  if (!await deployment.isSettled()) return false;
  if (!verification) return true;
  try {
    for (const { name } of await deployment.repositories(deployment.controllers[0]!)) if (!await deployment.verify(name)) return false;
    return true;
  } catch {
    return false;
  }
}

/** Once no fault is left, every repository takes pushes again, and that without help. */
async function untilEverythingWorks(deployment: Deployment, history: History, targets: readonly Target[]): Promise<Violation[]> {
  const from = history.now();
  await deployment.untilReady(CONVERGENCE_PATIENCE_MS);
  const waiting = new Set(targets.map(({ name }) => name));
  while (waiting.size > 0 && history.now() - from < CONVERGENCE_PATIENCE_MS) {
    await sleep(POLL_MS);
    for (const push of history.pushes) if (push.begin >= from && push.updates.some((update) => update.outcome === 'ok')) waiting.delete(push.repository);
  }
  return [...waiting].map((repository) => ({
    promise: 'when all faults are over, pushes succeed again', text: `none did in ${CONVERGENCE_PATIENCE_MS / 1_000} s`, repository, begin: from, end: history.now(),
  }));
}

async function untilConverged(deployment: Deployment, verification: boolean): Promise<{ violations: Violation[]; tookMs: number }> {
  const startedAt = performance.now();
  while (!await isRepaired(deployment, verification)) {
    if (performance.now() - startedAt > CONVERGENCE_PATIENCE_MS) {
      const views = await deployment.repositories(deployment.controllers[0]!);
      const behind = views.flatMap((view) => view.replicas.filter((replica) => replica.state !== 'current').map((replica) => `${view.name} on ${replica.node}: ${replica.state} (${replica.reason})`));
      return { tookMs: performance.now() - startedAt, violations: [{ promise: 'all replicas converge when faults are over', text: behind.join('\n') || 'a node does not serve or keeps a promise' }] };
    }
    await sleep(POLL_MS);
  }
  return { tookMs: performance.now() - startedAt, violations: [] };
}

async function untilNothingIsLeft(deployment: Deployment, baseline: ReadonlyMap<string, number>): Promise<Violation[]> {
  const startedAt = performance.now();
  for (;;) {
    const left = await leftBehind(deployment, baseline).catch((error: Error) => [{ promise: 'nothing is left behind', text: `a part does not answer: ${error.message}` }]);
    if (left.length === 0 || performance.now() - startedAt > QUIET_PATIENCE_MS) return left;
    await sleep(POLL_MS);
  }
}

function progressOf(history: History): string {
  const updates = history.pushes.flatMap((push) => push.updates);
  const count = (outcome: string) => updates.filter((update) => update.outcome === outcome).length;
  return `${Math.round(history.now() / 1_000)} s: ${count('ok')} ref updates acknowledged, ${count('rejected')} rejected, ${count('unknown')} unknown; ${history.reads.length} reads; ${history.faults.length} faults`;
}

function numbered(name: string, count: number): string[] {
  return Array.from({ length: count }, (_, i) => `${name}${i + 1}`);
}
