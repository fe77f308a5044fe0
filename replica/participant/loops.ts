import type { ReplicaContext } from '../context.ts';

const TICK_MS = 500;
/** Each question is asked once at a time, so passes may overlap; one that gets no answer must not hold up the others. */
const MAX_PASSES = 100;

/** The node's background work: settles old promises, forgets old votes, rotates a long journal, maintains stores. None waits for another. */
export function startLoops(context: ReplicaContext): { stop(): void } {
  const timers = Object.entries(WORK).map(([name, { run, atOnce }]) => {
    let running = 0;
    return setInterval(() => {
      if (running >= atOnce || !context.ready) return;
      running += 1;
      void run(context)
        .catch((error: unknown) => context.log.error({ err: error, work: name }, 'background work failed'))
        .finally(() => { running -= 1; });
    }, TICK_MS);
  });
  return { stop: () => { for (const timer of timers) clearInterval(timer); } };
}

/** One round of all of it. */
export async function backgroundWork(context: ReplicaContext): Promise<void> {
  await Promise.all(Object.values(WORK).map(({ run }) => run(context)));
}

interface Work {
  run: (context: ReplicaContext) => Promise<void>;
  /** Rounds of it that may run at the same time. */
  atOnce: number;
}

const WORK: Readonly<Record<string, Work>> = {
  settling: { run: settle, atOnce: MAX_PASSES },
  expiry: { run: expire, atOnce: 1 },
  rotation: { run: rotate, atOnce: 1 },
  maintenance: { run: ({ maintenance }) => maintenance.tick(), atOnce: 1 },
};

async function settle({ clock, config, inDoubt }: ReplicaContext): Promise<void> {
  await inDoubt.settleOlderThan(clock.elapsed() - config.promiseDeadlineMs);
}

async function expire({ clock, config, participant, replicas }: ReplicaContext): Promise<void> {
  const before = clock.elapsed() - config.voteExpiryMs;
  for (const replica of [...replicas.opened]) await participant.expireVotes(replica, before);
}

async function rotate({ config, hasRoom, journal, replicas }: ReplicaContext): Promise<void> {
  const mends = journal.wantsNewFile && hasRoom();
  if (!mends && (journal.failed || journal.bytes <= config.journalBytes)) return;
  await journal.rotate(() => [...replicas.opened].flatMap((replica) => (replica.promise === undefined ? [] : [replica.promise.record])));
}
