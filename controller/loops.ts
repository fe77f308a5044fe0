import { conditionAsker } from './condition.ts';
import type { ControllerContext } from './context.ts';
import type { DutyName } from './duties.ts';
import { setCondition } from './metrics.ts';
import type { KnownNode } from './nodes/node-registry.ts';
import type { NodeFacts } from './store/nodes.ts';
import { ALIVE_MS } from './store/controllers.ts';

/** The longest that a timer of Node takes. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** How often replicas are looked for that need a repair job and have none. */
const SWEEP_MS = 10_000;
const DELIVERY_MS = 1_000;
/** How often due verifications are looked for. A node is asked one thing at a time, so this bounds their rate too. */
const VERIFICATION_MS = 1_000;
/** How often what SQL says of the whole cluster is exported. */
const CONDITION_MS = 5_000;
/** How often other controllers are told, in SQL, which nodes this one hears of. */
const HEARD_MS = 2_000;
/** How often this controller says in SQL that it is here: a few times until others would take it for gone. */
const PRESENCE_MS = ALIVE_MS / 4;
const PRUNE_MS = 60_000;
const PLACEMENT_MS = 1_000;
const REMOVALS_MS = 1_000;
/** How often what heartbeats say is written down: for people, and for placement while a node can't be asked. */
const FACTS_MS = 10_000;
/** The trash is looked through this many times in the time that things stay there. */
const TRASH_LOOKS = 10;
const MAX_TRASH_MS = 60_000;
/** Rows removed by one pass at most. */
const PRUNE_LIMIT = 1_000;

export interface Loops {
  /** Begins no more background work. Nodes are still watched, for pushes and reads that run. */
  stopWork(): void;
  /** Ends all of it. */
  stop(): void;
}

/**
 * The controller's background work. None overlaps itself; a store that doesn't answer is tried again at the next tick.
 *
 * Each controller does for itself: heartbeats and what they tell others (each has its own view of the nodes), the claims
 * of jobs, imports and events (each is one row that one of them gets, so more controllers are more hands), and what it exports. One
 * does for all, under a duty: what looks through tables or disks as a whole, where two would find the same; and
 * verification, which leaves a node in peace between two questions as long as only one controller asks.
 */
export function startLoops(context: ControllerContext): Loops {
  const { config, delivery, duties, findings, jobs, listing, nodes, reconcile, verification } = context;
  const { pauseMs, verifyIntervalMs } = config.verification;
  const ifHeld = async (duty: DutyName, work: () => Promise<void>) => {
    if (await duties.hold(duty)) await work();
  };
  const watch = every(config.heartbeatMs, async () => {
    // Nodes are asked even when SQL can't say which there are.
    await nodes.refresh().catch(() => {});
    await nodes.poll();
    context.lifelines.keep(nodes.all);
  });
  const condition = conditionAsker(context);
  const timers = [
    every(config.heartbeatMs, () => ifHeld('listing', () => listing.run(true))),
    every(PRESENCE_MS, () => context.presence.renew()),
    every(HEARD_MS, () => context.nodeRows.heard(nodes.byUse.usable)),
    every(config.reconcileMs, async () => reconcile.poke()),
    every(config.reconcileMs, () => context.importing.tick()),
    every(SWEEP_MS, () => ifHeld('sweep', () => reconcile.sweep())),
    every(DELIVERY_MS, async () => { await delivery.run(); }),
    every(Math.min(pauseMs, VERIFICATION_MS), () => ifHeld('verification', () => verification.tick())),
    every(Math.min(verifyIntervalMs, MAX_TIMER_MS), () => ifHeld('listing', () => listing.run())),
    every(PLACEMENT_MS, () => ifHeld('placement', () => context.placement.tick(() => duties.hold('placement')))),
    every(REMOVALS_MS, () => ifHeld('removals', () => context.surplusRemoval.tick())),
    every(FACTS_MS, () => ifHeld('facts', () => context.nodeRows.describe(factsOf(nodes.all)))),
    every(CONDITION_MS, async () => setCondition(context.metrics, await condition())),
    every(Math.min(config.trashRetentionMs / TRASH_LOOKS, MAX_TRASH_MS), () => ifHeld('trash', () => context.trash.run())),
    every(PRUNE_MS, () => ifHeld('prune', async () => {
      const before = new Date(Date.now() - config.repair.retentionMs);
      await jobs.prune(before, PRUNE_LIMIT);
      await findings.prune(before, PRUNE_LIMIT);
      await context.controllers.prune();
      await context.decisions.prune(config.transactionRetentionMs, PRUNE_LIMIT);
      await context.imports.prune(before, PRUNE_LIMIT);
    })),
  ];
  const stopWork = () => timers.forEach((timer) => clearInterval(timer));
  return {
    stopWork,
    stop: () => {
      stopWork();
      clearInterval(watch);
    },
  };
}

function every(periodMs: number, work: () => Promise<void>): NodeJS.Timeout {
  let running = false;
  return setInterval(() => {
    if (running) return;
    running = true;
    void work().catch(() => {}).finally(() => { running = false; });
  }, periodMs);
}

function factsOf(nodes: readonly KnownNode[]): NodeFacts[] {
  return nodes.flatMap(({ id, status, healthy, clockSkewMs }) => (healthy && status !== undefined ? [{
    id, diskTotalBytes: status.diskTotalBytes, diskFreeBytes: status.diskFreeBytes, loadAverage: status.loadAverage, clockSkewMs: clockSkewMs ?? null,
  }] : []));
}
