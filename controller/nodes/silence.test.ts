import test from 'ava';
import { HeldClock } from '@trivet/proto/held-clock.ts';
import { Silence } from './silence.ts';

const LATE_MS = 50;
const SILENT_MS = 250;
/** From when somebody begins to wait until a node that doesn't answer is silent. */
const FOUND_OUT_MS = LATE_MS + SILENT_MS;

test('nobody who is answered soon has anybody asked', async (t) => {
  const { clock, silence, asked } = scene();
  const end = silence.late(() => ['a'], t.fail);
  await clock.pass(49);
  end();
  await clock.pass(10_000);
  t.deepEqual(asked, []);
});

test('a node that is late and answers its heartbeat keeps its grace, however long it is late', async (t) => {
  const { clock, silence, asked, changes } = scene();
  silence.late(() => ['a'], t.fail);
  await clock.pass(60);
  t.is(asked.length, 1);
  asked[0]!.answer();
  await clock.pass(60_000);
  t.deepEqual(changes, []);
});

test('a node that leaves its heartbeat unanswered is silent, which ends the waiting of everybody who waits for nobody else', async (t) => {
  const { clock, silence, asked, changes } = scene();
  const over: string[] = [];
  silence.late(() => ['a'], () => over.push('for a'));
  silence.late(() => ['a'], () => over.push('for a too'));
  silence.late(() => ['a', 'b'], () => over.push('for a and b'));
  await clock.pass(60);
  asked.find(({ node }) => node === 'b')!.answer();
  await clock.pass(FOUND_OUT_MS - 61);
  t.false(silence.has('a'));
  await clock.pass(1);
  t.true(silence.has('a'));
  t.deepEqual(over, ['for a', 'for a too']);
  t.deepEqual(changes, ['a silent']);
  t.is(asked.filter(({ node }) => node === 'a').length, 1, 'asked once, for all of them');
});

test('whoever waits for a silent node alone does not have to wait, also when the others answer meanwhile', async (t) => {
  const { clock, silence, asked } = scene();
  silence.late(() => ['a'], () => {});
  await clock.pass(FOUND_OUT_MS);
  let over = 0;
  silence.late(() => ['a'], () => { over += 1; });
  t.is(over, 1);
  const waitedFor = ['a', 'b'];
  silence.late(() => waitedFor, () => { over += 1; });
  t.is(over, 1);
  await clock.pass(FOUND_OUT_MS);
  t.is(over, 2, 'b is silent too');
  t.is(asked.length, 2);
});

test('a silent node is heard again when it answers after all', async (t) => {
  const { clock, silence, asked, changes } = scene();
  silence.late(() => ['a'], () => {});
  await clock.pass(FOUND_OUT_MS);
  asked[0]!.answer();
  await clock.pass(0);
  t.false(silence.has('a'));
  t.deepEqual(changes, ['a silent', 'a heard']);
});

test('a node that refuses its heartbeat is silent at once, and is asked again with pauses until it answers', async (t) => {
  const { clock, silence, asked } = scene();
  silence.late(() => ['a'], () => {});
  await clock.pass(50);
  asked[0]!.refuse();
  await clock.pass(0);
  t.true(silence.has('a'));
  await clock.pass(SILENT_MS - 1);
  t.is(asked.length, 1);
  await clock.pass(1);
  t.is(asked.length, 2);
  asked[1]!.answer();
  await clock.pass(0);
  t.false(silence.has('a'));
});

test('a node whose heartbeats take long gets ten times what they take', async (t) => {
  const { clock, silence } = scene(100);
  silence.late(() => ['a'], () => {});
  await clock.pass(50 + 999);
  t.false(silence.has('a'));
  await clock.pass(1);
  t.true(silence.has('a'));
});

test('a node that has said by another way that it is there is not silent', async (t) => {
  const { clock, silence } = scene();
  silence.late(() => ['a'], () => {});
  await clock.pass(FOUND_OUT_MS);
  silence.heard('a');
  t.false(silence.has('a'));
});

function scene(heartbeatMs = 1) {
  const clock = new HeldClock();
  const asked: { node: string; answer(): void; refuse(): void }[] = [];
  const changes: string[] = [];
  const silence = new Silence({
    clock,
    lateMs: LATE_MS,
    silentMs: SILENT_MS,
    ask: (node) => new Promise<void>((answer, reject) => { asked.push({ node, answer, refuse: () => reject(new Error('refused')) }); }),
    heartbeatMs: () => heartbeatMs,
    changed: (node, silent) => { changes.push(`${node} ${silent ? 'silent' : 'heard'}`); },
  });
  return { clock, silence, asked, changes };
}
