import test from 'ava';
import { makeMetrics } from '../metrics.ts';
import { ratesOf } from './rates.ts';

test('rates are what was done since they were asked for last', async (t) => {
  const metrics = makeMetrics('controller1', { voting: () => 0, waiting: () => 0 });
  let now = 0;
  const rates = ratesOf(() => metrics, () => now);
  metrics.pushes.inc({ outcome: 'committed' }, 4);
  metrics.pushes.inc({ outcome: 'rejected' }, 7);
  metrics.reads.inc({ node: 'node1', reason: 'lowest_score', outcome: 'ok' }, 10);
  metrics.reads.inc({ node: 'node1', reason: 'lowest_score', outcome: 'failed' }, 3);
  now = 2_000;
  t.deepEqual(await rates(), { pushesPerSecond: 2, readsPerSecond: 5 });
  now = 3_000;
  t.deepEqual(await rates(), { pushesPerSecond: 0, readsPerSecond: 0 });
  t.deepEqual(await rates(), { pushesPerSecond: 0, readsPerSecond: 0 });
});
