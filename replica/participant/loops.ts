import type { ReplicaContext } from '../context.ts';

const TICK_MS = 500;

/** The node's background work: settles old promises, forgets old votes, rotates a long journal. Never overlaps itself. */
export function startLoops(context: ReplicaContext): { stop(): void } {
  let running = false;
  const timer = setInterval(() => {
    if (running || !context.ready) return;
    running = true;
    void backgroundWork(context)
      .catch((error: unknown) => context.log.error({ err: error }, 'background work failed'))
      .finally(() => { running = false; });
  }, TICK_MS);
  return { stop: () => clearInterval(timer) };
}

/** One round of it. */
export async function backgroundWork(context: ReplicaContext): Promise<void> {
  const { config, inDoubt, journal, participant, replicas } = context;
  const now = context.clock.elapsed();
  await inDoubt.settleOlderThan(now - config.promiseDeadlineMs);
  for (const replica of [...replicas.opened]) await participant.expireVotes(replica, now - config.voteExpiryMs);
  if (journal.bytes > config.journalBytes) {
    await journal.rotate(() => [...replicas.opened].flatMap((replica) => (replica.promise === undefined ? [] : [replica.promise.record])));
  }
}
