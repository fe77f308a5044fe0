import { setTimeout as sleep } from 'node:timers/promises';
import type { RequestsInFlight } from '@trivet/proto/requests-in-flight.ts';
import type { ReplicaContext } from './context.ts';

/**
 * Ends a node in good order.
 *
 * 1. Its lifelines end, so every controller asks at once how it is, hears that it goes, and takes it into no further push
 *    and no further read. What may take hours is broken off: repairs go on where they were, verifications and
 *    maintenance begin again.
 * 2. For `stopDelayMs` it serves as ever, for controllers that haven't heard yet.
 * 3. Then it begins nothing new (`shutting_down`), finishes reads, and sees the pushes that it has voted on to their end:
 *    a replica that leaves between its vote and its commit would have missed one, and need repair.
 * @param loops the background work, which settles promises meanwhile
 */
export async function stopNode(context: ReplicaContext, requests: RequestsInFlight, loops: { stop(): void }): Promise<void> {
  const { config, lifelines } = context;
  const wasReady = context.ready;
  // Without any controller nobody ends what this node has promised; the next start settles it.
  const hasControllers = lifelines.size > 0;
  context.stopping = 'leaving';
  context.metrics.ready.set(0);
  lifelines.close();
  await Promise.all([context.repair.close(), context.verify.close(), context.maintenance.close(), context.imports.close()]);
  if (wasReady) await sleep(config.stopDelayMs);
  context.stopping = 'left';
  const isOver = () => Object.values(takingPart(context)).every((count) => count === 0);
  await requests.over(() => !hasControllers || isOver());
  await requests.end();
  loops.stop();
  await context.readers.closeAll();
  await context.controllers.close();
  await context.journal.close();
}

/** What this node still has to do with pushes. */
export function takingPart({ replicas }: ReplicaContext): { votes: number; promises: number } {
  const taking = { votes: 0, promises: 0 };
  for (const { votes, promise } of replicas.opened) {
    taking.votes += votes.size;
    if (promise !== undefined) taking.promises += 1;
  }
  return taking;
}
