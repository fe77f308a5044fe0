import { setImmediate as turn } from 'node:timers/promises';
import test from 'ava';
import { Lifelines } from './lifelines.ts';
import type { KnownNode } from './node-registry.ts';

const node = (id: string, healthy = true) => ({ id, healthy }) as KnownNode;

test('every healthy node has one lifeline, however often they are looked at', async (t) => {
  const opened: string[] = [];
  const lifelines = new Lifelines(async ({ id }, signal) => {
    opened.push(id);
    await new Promise((resolve) => { signal.addEventListener('abort', resolve); });
  }, async ({ id }) => { opened.push(`${id} ended`); });
  for (let i = 0; i < 3; i++) lifelines.keep([node('a'), node('b'), node('c', false)]);
  await turn();
  t.deepEqual(opened, ['a', 'b']);
  lifelines.close();
  await turn();
  t.deepEqual(opened, ['a', 'b'], 'who ends them itself has nothing to learn from it');
});

test('one that could not be opened is tried again when it is looked at again, and not in a loop', async (t) => {
  let tried = 0;
  const lifelines = new Lifelines(async () => {
    tried += 1;
    throw new Error('refused');
  }, async () => t.fail('it was never open'));
  lifelines.keep([node('a')]);
  await turn();
  t.is(tried, 1);
  lifelines.keep([node('a')]);
  await turn();
  t.is(tried, 2);
});

test('a node whose lifeline ends is asked how it is, before another one is opened', async (t) => {
  const told: string[] = [];
  const cut = Promise.withResolvers<void>();
  const lifelines = new Lifelines(async ({ id }) => {
    told.push(`open ${id}`);
    await cut.promise;
  }, async ({ id }) => { told.push(`ended ${id}`); });
  lifelines.keep([node('a')]);
  cut.resolve();
  await turn();
  // It had been open for a moment only, so the next heartbeat opens it again.
  lifelines.keep([node('a')]);
  t.deepEqual(told, ['open a', 'ended a', 'open a']);
  lifelines.close();
});
