import test from 'ava';
import { request } from 'undici';
import type { Clock } from '@trivet/proto/clock.ts';
import { newId } from '@trivet/proto/id.ts';
import { systemClock } from '@trivet/proto/clock.ts';
import type { Replica } from '../repository/replica.ts';
import { TestNode, TOKEN } from '../test-node.ts';
import { Lifelines } from './lifelines.ts';

/** Two promises of two coordinators, and who was asked about; time passes when it is told to. */
function setUp(knows: () => boolean = () => true) {
  const replicas = ['one', 'two'].map((coordinator) => ({ id: coordinator, promise: { coordinator } })) as unknown as Replica[];
  const asked: string[] = [];
  let timers: { ms: number; callback: () => void }[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (ms, callback) => {
      const timer = { ms, callback };
      timers.push(timer);
      return () => { timers = timers.filter((other) => other !== timer); };
    },
  };
  const settle = async (replica: Replica) => {
    asked.push(replica.id);
    if (knows()) replica.promise = undefined;
  };
  const lifelines = new Lifelines({ opened: replicas }, { settle }, clock);
  const pass = async () => {
    const due = timers;
    timers = [];
    for (const { callback } of due) callback();
    await new Promise((resolve) => { setImmediate(resolve); });
    return due.map(({ ms }) => ms);
  };
  return { lifelines, asked, pass };
}

test('when the last lifeline of a controller has closed, its promises are asked about and no others', async (t) => {
  const { lifelines, asked, pass } = setUp();
  const close = [lifelines.open('one', () => {}), lifelines.open('one', () => {}), lifelines.open('two', () => {})];
  close[0]!();
  t.deepEqual(await pass(), [], 'it has another');
  close[1]!();
  t.deepEqual(await pass(), [250]);
  t.deepEqual(asked, ['one']);
  t.deepEqual(await pass(), [], 'nothing is left to ask about');
});

test('a controller that is back with a new lifeline in time is not suspected', async (t) => {
  const { lifelines, asked, pass } = setUp();
  lifelines.open('one', () => {})();
  lifelines.open('one', () => {});
  await pass();
  t.deepEqual(asked, []);
});

test('while nobody knows it is asked again, with longer pauses and not for ever shorter ones', async (t) => {
  let known = false;
  const { lifelines, asked, pass } = setUp(() => known);
  lifelines.open('one', () => {})();
  const pauses: number[] = [];
  for (let i = 0; i < 8; i++) pauses.push(...await pass());
  t.deepEqual(pauses, [250, 500, 1_000, 2_000, 4_000, 5_000, 5_000, 5_000]);
  known = true;
  await pass();
  t.is(asked.length, 9);
  t.deepEqual(await pass(), []);
});

test('a node that ends closes its lifelines and asks nobody any more', async (t) => {
  const { lifelines, asked, pass } = setUp();
  let ended = 0;
  const close = lifelines.open('one', () => { ended += 1; });
  lifelines.close();
  close();
  await pass();
  t.is(ended, 1);
  t.deepEqual(asked, []);
});

test('a lifeline is open for as long as the one who opened it lives', async (t) => {
  const node = await TestNode.start(t);
  const { lifelines } = node.context;
  const controller = newId();
  const leave = new AbortController();
  const open = () => request(`${node.url}/lifeline?controller=${controller}`, { headers: { authorization: `Bearer ${TOKEN}` }, signal: leave.signal });
  const { statusCode, body } = await open();
  body.on('error', () => {});
  t.is(statusCode, 200);
  t.is(lifelines.size, 1);
  leave.abort();
  while (lifelines.size > 0) await new Promise((resolve) => { setImmediate(resolve); });
  t.pass();
});
