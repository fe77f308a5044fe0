import test from 'ava';
import { systemClock } from '@trivet/proto/clock.ts';
import type { ReplicaContext } from '../context.ts';
import { startLoops } from './loops.ts';

test('a question that gets no answer holds up neither the next question, nor the forgetting of votes, nor the journal', async (t) => {
  const [asked, expired, rotated] = [counter(2), counter(1), counter(1)];
  const { promise: never, resolve: answer } = Promise.withResolvers<void>();
  const loops = startLoops({
    ready: true, clock: systemClock, config: { promiseDeadlineMs: 1, voteExpiryMs: 1, journalBytes: 1 }, log: { error: (fields: object) => t.fail(JSON.stringify(fields)) },
    inDoubt: { settleOlderThan: () => { asked.count(); return never; } },
    participant: { expireVotes: async () => expired.count() },
    hasRoom: () => true, journal: { bytes: 2, rotate: async () => rotated.count() },
    replicas: { opened: [{}] }, maintenance: { tick: async () => {} },
  } as unknown as ReplicaContext);
  await Promise.all([asked.reached, expired.reached, rotated.reached]);
  loops.stop();
  answer();
  t.pass();
});

function counter(target: number) {
  const { promise: reached, resolve } = Promise.withResolvers<void>();
  let count = 0;
  return { reached, count: () => { if (++count === target) resolve(); } };
}
