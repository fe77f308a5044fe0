import test from 'ava';
import { HeldClock } from '@trivet/proto/held-clock.ts';
import { DutyRoster } from './duties.ts';

/** A store whose answer each test sets, and that counts questions. */
class FakeDuties {
  answer: 'granted' | 'refused' | 'down' = 'granted';
  asked = 0;
  released: string[] = [];

  async hold(): Promise<number | undefined> {
    this.asked++;
    if (this.answer === 'down') throw new Error('no answer');
    return this.answer === 'granted' ? 1 : undefined;
  }

  async release(holder: string): Promise<void> { this.released.push(holder); }
}

function scene() {
  const store = new FakeDuties();
  const clock = new HeldClock();
  return { store, clock, roster: new DutyRoster(store, 'me', clock) };
}

test('a duty that is held costs no question until half its lease is over', async (t) => {
  const { store, clock, roster } = scene();
  for (let i = 0; i < 5; i++) t.true(await roster.hold('placement'));
  t.is(store.asked, 1);
  await clock.pass(5_000);
  t.true(await roster.hold('placement'));
  t.is(store.asked, 2);
});

test('a duty that another one holds is asked for each time', async (t) => {
  const { store, roster } = scene();
  store.answer = 'refused';
  t.false(await roster.hold('placement'));
  t.false(await roster.hold('placement'));
  t.is(store.asked, 2);
  store.answer = 'granted';
  t.true(await roster.hold('placement'));
});

test('a holder that slept through its lease asks before it goes on, and stops when another one has it', async (t) => {
  const { store, clock, roster } = scene();
  t.true(await roster.hold('placement'));
  await clock.pass(60_000);
  store.answer = 'refused';
  t.false(await roster.hold('placement'));
});

test('while the store is down a duty is held to the end of its lease and no longer', async (t) => {
  const { store, clock, roster } = scene();
  t.true(await roster.hold('placement'));
  store.answer = 'down';
  await clock.pass(9_999);
  t.true(await roster.hold('placement'));
  await clock.pass(1);
  t.false(await roster.hold('placement'));
});

test('after a release nothing is taken any more', async (t) => {
  const { store, roster } = scene();
  t.true(await roster.hold('placement'));
  await roster.release();
  t.deepEqual(store.released, ['me']);
  t.false(await roster.hold('placement'));
  t.is(store.asked, 1);
});
