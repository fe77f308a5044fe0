import type { ControllerMetrics } from '../metrics.ts';
import type { Rates } from '../store/controllers.ts';

const COMMITTED = ['committed', 'partly'];

/** What a controller does: each call tells what was done since the one before, by the controller's own counters. */
export function ratesOf(metrics: () => ControllerMetrics, now: () => number = () => performance.now()): () => Promise<Rates> {
  let before = { at: now(), pushes: 0, reads: 0 };
  return async () => {
    const [pushes, reads] = [await metrics().pushes.get(), await metrics().reads.get()];
    const done = {
      at: now(),
      pushes: sum(pushes.values.filter(({ labels }) => COMMITTED.includes(String(labels.outcome)))),
      reads: sum(reads.values.filter(({ labels }) => labels.outcome === 'ok')),
    };
    const seconds = (done.at - before.at) / 1_000;
    const rate = (count: number) => (seconds > 0 ? Math.max(0, count) / seconds : 0);
    const rates = { pushesPerSecond: rate(done.pushes - before.pushes), readsPerSecond: rate(done.reads - before.reads) };
    before = done;
    return rates;
  };
}

function sum(values: readonly { value: number }[]): number {
  return values.reduce((total, { value }) => total + value, 0);
}
