import test from 'ava';
import type { OutboxEvent } from '../store/rows.ts';
import { Delivery } from './delivery.ts';

function outboxOf(sequences: number[]) {
  const rows = new Map(sequences.map((sequence): [number, OutboxEvent] => (
    [sequence, { sequence, repository: 'r', kind: 'push', payload: {}, createdAt: new Date(0) }])));
  return {
    rows,
    after: async (sequence: number, limit: number) => [...rows.values()].filter((event) => event.sequence > sequence).sort((a, b) => a.sequence - b.sequence).slice(0, limit),
    prune: async (done: number[]) => done.filter((sequence) => rows.delete(sequence)).length,
  };
}

test('events are delivered in their order and taken out', async (t) => {
  const outbox = outboxOf([3, 1, 2]);
  const seen: number[] = [];
  t.is(await new Delivery(outbox, (event) => { seen.push(event.sequence); }).run(), 3);
  t.deepEqual(seen, [1, 2, 3]);
  t.is(outbox.rows.size, 0);
});

test('an event that can not be delivered stays, with all behind it', async (t) => {
  const outbox = outboxOf([1, 2, 3]);
  await t.throwsAsync(new Delivery(outbox, (event) => { if (event.sequence === 2) throw new Error('no'); }).run());
  t.deepEqual([...outbox.rows.keys()].sort(), [2, 3]);
});

test('an event with a lower sequence that appears late is delivered too', async (t) => {
  const outbox = outboxOf([5]);
  const seen: number[] = [];
  const delivery = new Delivery(outbox, (event) => { seen.push(event.sequence); });
  await delivery.run();
  outbox.rows.set(4, { sequence: 4, repository: 'r', kind: 'push', payload: {}, createdAt: new Date(0) });
  await delivery.run();
  t.deepEqual(seen, [5, 4]);
});
