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
  });
  for (let i = 0; i < 3; i++) lifelines.keep([node('a'), node('b'), node('c', false)]);
  await turn();
  t.deepEqual(opened, ['a', 'b']);
  lifelines.close();
  await turn();
  lifelines.keep([]);
});

test('one that could not be opened is tried again when it is looked at again, and not in a loop', async (t) => {
  let tried = 0;
  const lifelines = new Lifelines(async () => {
    tried += 1;
    throw new Error('refused');
  });
  lifelines.keep([node('a')]);
  await turn();
  t.is(tried, 1);
  lifelines.keep([node('a')]);
  await turn();
  t.is(tried, 2);
});
