import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestsInFlight } from '@trivet/proto/requests-in-flight.ts';
import type { ControllerContext } from './context.ts';
import type { Loops } from './loops.ts';

/**
 * Ends a controller in good order.
 *
 * 1. `/readyz` says no, so that load balancers send nobody here any more. No background work is begun; what runs goes back
 *    into the line at once, where other controllers find it, and not when its lease ends.
 * 2. For `stopDelayMs` it serves as ever, but each connection ends with its answer.
 * 3. Then nothing new is taken. Pushes and reads that run are finished, also those whose client has left.
 */
export async function stopController(context: ControllerContext, requests: RequestsInFlight, loops: Loops): Promise<void> {
  const { config, coordinator } = context;
  context.stopping = true;
  loops.stopWork();
  context.live.close();
  requests.lastAnswers();
  const handedOver = Promise.all([context.reconcile.stop(), context.verification.stop(), context.importing.stop(), context.duties.release()]);
  // Should it fail before it is waited for, that is no unhandled rejection.
  handedOver.catch(() => {});
  await sleep(config.stopDelayMs);
  await requests.end(() => coordinator.running === 0);
  await handedOver;
  loops.stop();
  context.turnLock.close();
  context.lifelines.close();
  await context.agent.destroy();
  await context.presence.end().catch(() => {});
  await context.database.close();
}
