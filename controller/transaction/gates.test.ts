import test from 'ava';
import { HeldClock } from '@trivet/proto/held-clock.ts';
import { Gates } from './gates.ts';

test('an open gate lets everybody in at once', async (t) => {
  const gates = new Gates(new HeldClock(), 100);
  const [a, b] = await Promise.all([gates.enter('r'), gates.enter('r')]);
  t.false(a.stale || b.stale);
});

test('whoever wants a repository for themselves waits for those inside, and those who come meanwhile wait for them', async (t) => {
  const gates = new Gates(new HeldClock(), 100);
  const log: string[] = [];
  const first = await gates.enter('r');
  const action = deferred();
  const repair = gates.closed('r', async () => { log.push('repair'); await action.promise; });
  const second = gates.enter('r').then((inside) => { log.push('second'); return inside; });
  await turnOfEvents();
  t.deepEqual(log, [], 'the first is still inside');
  first.leave();
  await turnOfEvents();
  t.deepEqual(log, ['repair']);
  action.resolve();
  await repair;
  t.true((await second).stale, 'what it read before is old');
  t.deepEqual(log, ['repair', 'second']);
});

test('somebody inside who does not leave is waited for no longer than the deadline, and others still wait outside', async (t) => {
  const clock = new HeldClock();
  const gates = new Gates(clock, 100);
  const slow = await gates.enter('r');
  const action = deferred();
  let running = false;
  const repair = gates.closed('r', async () => { running = true; await action.promise; });
  let entered = false;
  const next = gates.enter('r').then((inside) => { entered = true; return inside; });
  await turnOfEvents();
  t.false(running);
  await clock.pass(100);
  t.true(running);
  t.false(entered);
  action.resolve();
  await repair;
  (await next).leave();
  slow.leave();
});

test('the gate stays closed until the last of several has had the repository', async (t) => {
  const gates = new Gates(new HeldClock(), 100);
  const [one, two] = [deferred(), deferred()];
  const repairs = [gates.closed('r', () => one.promise), gates.closed('r', () => two.promise)];
  let entered = false;
  const push = gates.enter('r').then(() => { entered = true; });
  one.resolve();
  await repairs[0];
  await turnOfEvents();
  t.false(entered);
  two.resolve();
  await Promise.all([...repairs, push]);
  t.true(entered);
});

test('the gate opens again when what it was closed for fails, and other repositories have gates of their own', async (t) => {
  const gates = new Gates(new HeldClock(), 100);
  const failing = gates.closed('r', async () => {
    await gates.enter('s');
    throw new Error('broken');
  });
  await t.throwsAsync(failing, { message: 'broken' });
  await t.notThrowsAsync(gates.enter('r'));
});

test('who comes when the gate is just open again may know the repository as it was before, later nobody does', async (t) => {
  const clock = new HeldClock();
  const gates = new Gates(clock, 100);
  await gates.closed('r', async () => {});
  t.true((await gates.enter('r')).stale);
  await clock.pass(60_000);
  t.false((await gates.enter('r')).stale);
});

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => { resolve = done; });
  return { promise, resolve };
}

/** Everything that can go on without time passing has gone on. */
function turnOfEvents(): Promise<void> {
  return new Promise((resolve) => { setImmediate(resolve); });
}
