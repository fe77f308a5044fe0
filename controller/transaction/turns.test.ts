import test from 'ava';
import { systemClock } from '@trivet/proto/clock.ts';
import { Turns, type SharedTurn } from './turns.ts';

test('everybody who joins before the turn comes is handed over together, in order', async (t) => {
  const turns = new Turns<string>(freeTurn(), 1_000, systemClock);
  const taken: string[][] = [];
  const done = new Promise<void>((resolve) => {
    for (const entry of ['a', 'b', 'c']) {
      turns.join('r', entry, async (waiting) => { taken.push(waiting.splice(0)); resolve(); });
    }
  });
  await done;
  t.deepEqual(taken, [['a', 'b', 'c']]);
});

test('what a run leaves in line is handed over again in the next turn', async (t) => {
  const turns = new Turns<string>(freeTurn(), 1_000, systemClock);
  const taken: string[] = [];
  await new Promise<void>((resolve) => {
    const run = async (waiting: string[]) => {
      const entry = waiting.shift()!;
      taken.push(entry);
      if (entry === 'b') turns.join('r', 'c', run);
      if (entry === 'c') resolve();
    };
    turns.join('r', 'a', run);
    turns.join('r', 'b', run);
  });
  t.deepEqual(taken, ['a', 'b', 'c']);
});

test('somebody who joins while the last in line is being served waits for the next turn', async (t) => {
  const turns = new Turns<string>(freeTurn(), 1_000, systemClock);
  const gate = deferred();
  const served: string[][] = [];
  const first = deferred();
  const second = deferred();
  const run = async (waiting: string[]) => {
    served.push(waiting.splice(0));
    if (served.length === 2) return second.resolve();
    first.resolve();
    await gate.promise;
  };
  turns.join('r', 'a', run);
  await first.promise;
  turns.join('r', 'b', run);
  t.deepEqual(served, [['a']]);
  gate.resolve();
  await second.promise;
  t.deepEqual(served, [['a'], ['b']]);
});

test('a repair and another controller get their turn while pushes never cease', async (t) => {
  let releases = 0;
  const turns = new Turns<string>({ acquire: async () => ({ release: async () => { releases += 1; } }) }, 1_000, systemClock);
  let repaired = false;
  let pushes = 0;
  const run = async (waiting: string[]) => {
    waiting.length = 0;
    pushes += 1;
    // The next push is there before this one ends. Without the repair's turn this would go on for long.
    if (!repaired && pushes < 1_000) turns.join('r', 'push', run);
  };
  turns.join('r', 'push', run);
  await turns.exclusively('r', async () => { repaired = true; });
  t.true(pushes < 10, `the repair had to wait for ${pushes} pushes`);
  t.true(releases >= pushes);
});

test('two turns of one repository never overlap; those of two repositories do', async (t) => {
  const turns = new Turns<never>(freeTurn(), 1_000, systemClock);
  const probe = overlapProbe();
  await Promise.all([1, 2, 3, 4].map(() => turns.exclusively('r', probe.visit)));
  t.is(probe.most, 1);
  const between = overlapProbe();
  await Promise.all(['r', 's'].map((repository) => turns.exclusively(repository, between.visit)));
  t.is(between.most, 2, 'control: the probe sees an overlap');
});

test('the shared turn is held while an action runs and given back when it throws', async (t) => {
  const log: string[] = [];
  const turns = new Turns<never>({
    acquire: async (repository, waitMs) => {
      log.push(`acquire ${repository} ${waitMs}`);
      return { release: async () => { log.push('release'); } };
    },
  }, 250, systemClock);
  await t.throwsAsync(turns.exclusively('r', async () => { log.push('run'); throw new Error('broken'); }), { message: 'broken' });
  t.deepEqual(log, ['acquire r 250', 'run', 'release']);
});

test('a shared turn that was waited for in vain is not waited for again for a while, and as before once it is had', async (t) => {
  let nowMs = 0;
  let holder: string | undefined = 'a stopped controller';
  const waits: number[] = [];
  const turns = new Turns<never>({
    acquire: async (_repository, waitMs) => {
      waits.push(waitMs);
      return holder === undefined ? { release: async () => {} } : undefined;
    },
  }, 30_000, { ...systemClock, elapsed: () => nowMs });
  const run = () => turns.exclusively('r', async () => {});
  await run();
  await run();
  nowMs = 60_000;
  await run();
  holder = undefined;
  await run();
  await run();
  t.deepEqual(waits, [2_000, 0, 2_000, 0, 2_000]);
});

for (const [name, acquire] of [
  ['is not had in time', async () => undefined],
  ['can not be asked for', async () => { throw new Error('the store is gone'); }],
] as const) {
  test(`an action runs even when the shared turn ${name}: it is there for speed only`, async (t) => {
    t.is(await new Turns<never>({ acquire }, 10, systemClock).exclusively('r', async () => 42), 42);
  });
}

test('a repair takes its turn between pushes', async (t) => {
  const turns = new Turns<string>(freeTurn(), 1_000, systemClock);
  const order: string[] = [];
  const gate = deferred();
  turns.join('r', 'push', async (waiting) => { waiting.length = 0; await gate.promise; order.push('push'); });
  const repair = turns.exclusively('r', async () => { order.push('repair'); });
  gate.resolve();
  await repair;
  t.deepEqual(order, ['push', 'repair']);
});

test('a line of a thousand is full, and is forgotten when it is served', async (t) => {
  const turns = new Turns<number>(freeTurn(), 1_000, systemClock);
  const gate = deferred();
  const busy = turns.exclusively('r', () => gate.promise);
  const served = deferred();
  const run = async (waiting: number[]) => { waiting.length = 0; served.resolve(); };
  for (let i = 0; i < 1_000; i++) t.true(turns.join('r', i, run));
  t.false(turns.join('r', 1_000, run));
  t.true(turns.join('another', 0, async (waiting) => { waiting.length = 0; }), 'each repository has a line of its own');
  t.true(turns.waiting >= 1_000);
  gate.resolve();
  await busy;
  await served.promise;
  await turns.exclusively('r', async () => {});
  t.is(turns.waiting, 0);
});

function freeTurn(): SharedTurn {
  return { acquire: async () => ({ release: async () => {} }) };
}

function deferred(): { promise: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => { resolve = done; });
  return { promise, resolve };
}

/** Counts how many visits were under way at once. */
function overlapProbe() {
  let inside = 0;
  const probe = {
    most: 0,
    visit: async () => {
      inside += 1;
      probe.most = Math.max(probe.most, inside);
      await new Promise((resolve) => { setImmediate(resolve); });
      inside -= 1;
    },
  };
  return probe;
}
