import test from 'ava';
import fc from 'fast-check';
import { FanOut } from './fan-out.ts';

const MIB = 1024 * 1024;
const never = () => false;
const always = () => true;

test('every branch gets every byte in order', async (t) => {
  await fc.assert(fc.asyncProperty(fc.array(fc.uint8Array({ maxLength: 200 })), async (parts) => {
    const fanOut = new FanOut();
    const readers = ['a', 'b', 'c'].map((name) => collect(fanOut.branch(name)));
    await fanOut.pump(from(parts.map((part) => Buffer.from(part))), 1_000, never, () => t.fail());
    for (const bytes of await Promise.all(readers)) t.deepEqual(bytes, Buffer.concat(parts));
  }), { numRuns: 50 });
});

test('no branch gets more than a MiB ahead of the slowest, and the source waits for it', async (t) => {
  const fanOut = new FanOut();
  const [fast, slow] = [fanOut.branch('fast'), fanOut.branch('slow')[Symbol.asyncIterator]()];
  let sent = 0;
  async function* source() {
    for (let i = 0; i < 64; i++) {
      sent += 64 * 1024;
      yield Buffer.alloc(64 * 1024);
    }
  }
  const everything = collect(fast);
  const pumped = fanOut.pump(source(), 60_000, never, () => t.fail());
  await turnsOfTheLoop(200);
  t.true(sent <= MIB + 64 * 1024, `${sent} bytes were taken from the source though one branch took none`);
  let taken = 0;
  for (let next = await slow.next(); !next.done; next = await slow.next()) {
    taken += next.value.length;
    t.true(sent - taken <= MIB + 2 * 64 * 1024);
  }
  await pumped;
  t.is((await everything).length, 4 * MIB);
});

test('a branch that takes nothing is dropped when the push can go on without it, and the others get everything', async (t) => {
  const fanOut = new FanOut();
  const stalled = fanOut.branch('stalled');
  const readers = ['a', 'b'].map((name) => collect(fanOut.branch(name)));
  const dropped: string[] = [];
  await fanOut.pump(from(chunks(3)), 20, always, (name) => dropped.push(name));
  t.deepEqual(dropped, ['stalled']);
  for (const bytes of await Promise.all(readers)) t.is(bytes.length, 3 * MIB);
  await t.throwsAsync(collect(stalled), { code: 'phase_timeout' });
});

test('a branch that the push can not do without is waited for', async (t) => {
  const fanOut = new FanOut();
  const stalled = fanOut.branch('stalled');
  const asked: string[][] = [];
  const other = collect(fanOut.branch('a'));
  let slow: Promise<Buffer> | undefined;
  await fanOut.pump(from(chunks(3)), 5, (names) => {
    asked.push([...names]);
    // It wakes up only after it would have been dropped three times.
    if (asked.length === 3) slow = collect(stalled);
    return false;
  }, () => t.fail());
  t.deepEqual(asked.slice(0, 3), [['stalled'], ['stalled'], ['stalled']]);
  t.is((await slow!).length, 3 * MIB);
  t.is((await other).length, 3 * MIB);
});

test('a failing source fails every branch with the same error', async (t) => {
  const fanOut = new FanOut();
  const readers = ['a', 'b'].map((name) => collect(fanOut.branch(name)));
  const broken = new Error('the client left');
  async function* source() {
    yield Buffer.from('some');
    throw broken;
  }
  const outcomes = [fanOut.pump(source(), 1_000, never, () => t.fail()), ...readers];
  for (const outcome of await Promise.allSettled(outcomes)) t.like(outcome, { status: 'rejected', reason: broken });
});

test('a reader that goes away holds nobody up, and the source is left alone when all have gone', async (t) => {
  const fanOut = new FanOut();
  const early = (async () => { for await (const _ of fanOut.branch('early')) break; })();
  const whole = collect(fanOut.branch('whole'));
  await fanOut.pump(from(chunks(4)), 60_000, never, () => t.fail());
  await early;
  t.is((await whole).length, 4 * MIB);

  const deserted = new FanOut();
  deserted.branch('gone');
  deserted.leave('gone');
  let taken = 0;
  async function* endless() { for (;;) { taken += 1; yield Buffer.alloc(10); } }
  await deserted.pump(endless(), 1_000, never, () => t.fail());
  t.is(taken, 1);
});

async function* from(parts: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* parts;
}

function chunks(mebibytes: number): Buffer[] {
  return Array.from({ length: mebibytes * 8 }, () => Buffer.alloc(MIB / 8));
}

async function collect(source: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

async function turnsOfTheLoop(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => { setImmediate(resolve); });
}
