import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '@trivet/proto/clock.ts';
import { DutyRoster } from './duties.ts';
import { Duties } from './store/duties.ts';
import { storeTest } from './store/stores-under-test.ts';

const CONTROLLERS = 4;
const ROUNDS = 25;

/** What all controllers do in their loops, with a probe inside. @returns how many were at it at once, at most, and how often somebody was */
async function most(rosters: readonly Pick<DutyRoster, 'hold' | 'release'>[]): Promise<{ atOnce: number; times: number }> {
  let running = 0;
  let atOnce = 0;
  let times = 0;
  await Promise.all(rosters.map(async (roster) => {
    for (let round = 0; round < ROUNDS; round++) {
      if (await roster.hold('sweep')) {
        times += 1;
        atOnce = Math.max(atOnce, ++running);
        await sleep(1);
        running -= 1;
      }
      await sleep(1);
    }
    // It ends, and another one takes over.
    await roster.release();
  }));
  return { atOnce, times };
}

storeTest('however many controllers look after the same duty, one at a time does the work', async (t, store) => {
  const database = await store.open();
  const rosters = Array.from({ length: CONTROLLERS }, (_, i) => new DutyRoster(new Duties(database), `controller ${i}`, systemClock));
  const { atOnce, times } = await most(rosters);
  t.is(atOnce, 1);
  t.true(times >= ROUNDS);
});

storeTest('control: where everybody is given the duty, the probe sees them all at work', async (t) => {
  const everybody = { hold: async () => 1, release: async () => {} };
  const rosters = Array.from({ length: CONTROLLERS }, (_, i) => new DutyRoster(everybody, `controller ${i}`, systemClock));
  t.true((await most(rosters)).atOnce > 1);
});
