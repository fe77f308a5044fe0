import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import type { ClusterStatus } from '../rest/cluster.ts';
import { Live, type LiveMessage } from './live.ts';

/** Time that passes when it is told to. */
function fakeClock() {
  let now = 0;
  const timers = new Set<{ at: number; work: () => void }>();
  return {
    now: () => new Date(now),
    elapsed: () => now,
    sleep: async () => {},
    after(ms: number, work: () => void) {
      const timer = { at: now + ms, work };
      timers.add(timer);
      return () => { timers.delete(timer); };
    },
    get timers() { return timers.size; },
    async pass(ms: number) {
      for (const end = now + ms; ;) {
        const next = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        now = next?.at ?? end;
        if (next === undefined) return;
        timers.delete(next);
        next.work();
        await turn();
        await turn();
      }
    },
  };
}

const status = (repositories: number, at = '') => ({ repositories, at }) as ClusterStatus;

function listener() {
  const told: LiveMessage[] = [];
  const heard = { told, ended: false, tell: (message: LiveMessage) => { told.push(message); }, end: () => { heard.ended = true; } };
  return heard;
}

test('a listener is told at once, then of changes, and now and then that there are none', async (t) => {
  const clock = fakeClock();
  let asked = 0;
  let repositories = 1;
  const live = new Live(async () => status(repositories, String(asked++)), clock as never, () => 'internal');
  const one = listener();
  live.listen(one);
  await turn();
  await turn();
  t.deepEqual(one.told.map((message) => message.kind), ['status']);
  await clock.pass(5_000);
  const before = one.told.length;
  repositories = 2;
  await clock.pass(1_000);
  t.is(one.told.length, before + 1);
  t.is((one.told.at(-1) as { status: ClusterStatus }).status.repositories, 2);
  await clock.pass(9_000);
  t.is(one.told.length, before + 1, 'the time at which it was asked is no change');
  await clock.pass(1_000);
  t.is(one.told.length, before + 2);
});

test('nobody is asked while nobody listens', async (t) => {
  const clock = fakeClock();
  let asked = 0;
  const live = new Live(async () => status(asked++), clock as never, () => 'internal');
  const leave = live.listen(listener());
  live.listen(listener())();
  await clock.pass(3_000);
  t.true(asked > 0);
  leave();
  const before = asked;
  await clock.pass(60_000);
  t.is(asked, before);
  t.is(clock.timers, 0);
});

test('a status that can not be had is told, and the next one that can', async (t) => {
  const clock = fakeClock();
  let broken = true;
  const live = new Live(async () => { if (broken) throw new Error('gone'); return status(1); }, clock as never, () => 'store_unavailable');
  const one = listener();
  live.listen(one);
  await clock.pass(1_000);
  t.deepEqual(one.told[0], { kind: 'trouble', code: 'store_unavailable' });
  broken = false;
  await clock.pass(1_000);
  t.is(one.told.at(-1)!.kind, 'status');
});

test('there are not more listeners than there may be, and all of them are told of the end', (t) => {
  const live = new Live(async () => status(1), fakeClock() as never, () => 'internal');
  const listeners = Array.from({ length: 200 }, listener);
  for (const each of listeners) live.listen(each);
  t.throws(() => live.listen(listener()), { message: /too many requests/ });
  live.close();
  t.true(listeners.every(({ ended }) => ended));
  t.throws(() => live.listen(listener()), { message: /shutting down/ });
});
