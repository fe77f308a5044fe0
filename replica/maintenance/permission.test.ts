import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { HeldClock } from '@trivet/proto/held-clock.ts';
import type { MaintenanceAnswer } from '@trivet/proto/messages.ts';
import { withPermission } from './permission.ts';

const QUESTION = { node: 'n1', repository: 'a'.repeat(32), urgent: false };
const GRANTED: MaintenanceAnswer = { granted: true, leaseMs: 3_000 };

test('without permission nothing is done', async (t) => {
  const asked: string[] = [];
  const answer = await withPermission(QUESTION, async ({ kind }) => { asked.push(kind); return { granted: false, reason: 'busy' }; }, new HeldClock(), never(), async () => t.fail());
  t.deepEqual(answer, { refused: 'busy' });
  t.deepEqual(asked, ['begin']);
});

test('permission is renewed in time for as long as the work takes, and given back', async (t) => {
  const clock = new HeldClock();
  const asked: string[] = [];
  const { promise, resolve } = Promise.withResolvers<string>();
  const working = withPermission(QUESTION, async ({ kind }) => { asked.push(kind); return GRANTED; }, clock, never(), () => promise);
  for (let i = 0; i < 4; i++) await clock.pass(1_000);
  resolve('well');
  t.deepEqual(await working, { value: 'well' });
  t.deepEqual(asked, ['begin', 'renew', 'renew', 'renew', 'renew', 'end']);
});

for (const [name, renewal] of [
  ['is refused', async (): Promise<MaintenanceAnswer> => ({ granted: false, reason: 'another' })],
  ['can not be renewed for as long as it was given for', async (): Promise<MaintenanceAnswer> => { throw new TrivetError('store_unavailable'); }],
] as const) {
  test(`work is told to stop when permission ${name}`, async (t) => {
    const clock = new HeldClock();
    const working = withPermission(QUESTION, async ({ kind }) => (kind === 'renew' ? renewal() : GRANTED), clock, never(), (signal) => (
      new Promise((_, reject) => { signal.addEventListener('abort', () => reject(signal.reason as Error)); })));
    const outcome = t.throwsAsync(working, { code: 'aborted' });
    for (let i = 0; i < 4; i++) await clock.pass(1_000);
    await outcome;
  });
}

test('one renewal that is not heard does no harm', async (t) => {
  const clock = new HeldClock();
  let renewals = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const working = withPermission(QUESTION, async ({ kind }) => {
    if (kind === 'renew' && ++renewals === 2) throw new TrivetError('store_unavailable');
    return GRANTED;
  }, clock, never(), async (signal) => {
    await promise;
    return signal.aborted;
  });
  for (let i = 0; i < 6; i++) await clock.pass(1_000);
  resolve();
  t.deepEqual(await working, { value: false });
});

test('whoever is told to stop waits for no controller, neither at the begin nor at the end', async (t) => {
  const silent = new Promise<never>(() => {});
  const stop = new AbortController();
  const asking = withPermission(QUESTION, () => silent, new HeldClock(), stop.signal, async () => t.fail());
  stop.abort(new TrivetError('shutting_down'));
  await t.throwsAsync(asking, { code: 'shutting_down' });
  const again = new AbortController();
  const working = withPermission(QUESTION, ({ kind }) => (kind === 'end' ? silent : Promise.resolve(GRANTED)), new HeldClock(), again.signal, async (signal) => {
    again.abort(new TrivetError('shutting_down'));
    signal.throwIfAborted();
  });
  await t.throwsAsync(working, { code: 'shutting_down' });
});

function never(): AbortSignal {
  return new AbortController().signal;
}
