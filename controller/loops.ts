import type { ControllerContext } from './context.ts';

/** How often replicas are looked for that need a repair job and have none. */
const SWEEP_MS = 10_000;
const DELIVERY_MS = 1_000;

/** The controller's background work. None overlaps itself; a store that doesn't answer is tried again at the next tick. */
export function startLoops(context: ControllerContext): { stop(): void } {
  const { config, delivery, nodes, reconcile } = context;
  const timers = [
    every(config.heartbeatMs, async () => {
      // Nodes are asked even when SQL can't say which there are.
      await nodes.refresh().catch(() => {});
      await nodes.poll();
    }),
    every(config.reconcileMs, async () => reconcile.poke()),
    every(SWEEP_MS, () => reconcile.sweep()),
    every(DELIVERY_MS, async () => { await delivery.run(); }),
  ];
  return { stop: () => timers.forEach((timer) => clearInterval(timer)) };
}

function every(periodMs: number, work: () => Promise<void>): NodeJS.Timeout {
  let running = false;
  return setInterval(() => {
    if (running) return;
    running = true;
    void work().catch(() => {}).finally(() => { running = false; });
  }, periodMs);
}
