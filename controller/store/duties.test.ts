import { Duties } from './duties.ts';
import { storeTest } from './stores-under-test.ts';

const LONG_MS = 600_000;

storeTest('a duty is held by one at a time, for as long as its holder renews it', async (t, store) => {
  const duties = new Duties(await store.open());
  t.is(await duties.hold('placement', 'a', LONG_MS), 1);
  t.is(await duties.hold('placement', 'b', LONG_MS), undefined);
  t.is(await duties.hold('placement', 'a', LONG_MS), 1, 'renewed');
  t.is(await duties.hold('removals', 'b', LONG_MS), 1, 'another duty');
});

storeTest('a holder that died loses the duty with its lease, and the fence rises', async (t, store) => {
  const duties = new Duties(await store.open());
  t.is(await duties.hold('placement', 'a', 0), 1);
  t.is(await duties.hold('placement', 'b', LONG_MS), 2);
  t.is(await duties.hold('placement', 'a', LONG_MS), undefined);
});

storeTest('who comes back after its own lease has ended holds it anew', async (t, store) => {
  const duties = new Duties(await store.open());
  t.is(await duties.hold('placement', 'a', 0), 1);
  t.is(await duties.hold('placement', 'a', LONG_MS), 2);
});

storeTest('what is given back is free at once', async (t, store) => {
  const duties = new Duties(await store.open());
  await duties.hold('placement', 'a', LONG_MS);
  await duties.hold('removals', 'b', LONG_MS);
  await duties.release('a');
  t.is(await duties.hold('placement', 'c', LONG_MS), 2);
  t.is(await duties.hold('removals', 'c', LONG_MS), undefined);
});

storeTest('of ten controllers that ask at once one gets the duty', async (t, store) => {
  const bundles = await Promise.all(Array.from({ length: store.dialect === 'mysql' ? 10 : 1 }, () => store.open({ poolSize: 1 })));
  const fences = await Promise.all(Array.from({ length: 10 }, (_, i) => (
    new Duties(bundles[i % bundles.length]!).hold('placement', `controller ${i}`, LONG_MS))));
  t.deepEqual(fences.filter((fence) => fence !== undefined), [1]);
});
