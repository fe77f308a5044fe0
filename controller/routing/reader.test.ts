import { Readable } from 'node:stream';
import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { HeldClock } from '@trivet/proto/held-clock.ts';
import type { NodeStatus } from '@trivet/proto/messages.ts';
import type { NodeClient } from '../nodes/node-client.ts';
import { NodeRegistry } from '../nodes/node-registry.ts';
import { NO_SILENCE } from '../nodes/silence.ts';
import type { NodeState, Route } from '../store/rows.ts';
import { Reader } from './reader.ts';

test('a node that failed or was slow is read from again once that is long ago, and not before', async (t) => {
  const { read, clock, mishap } = await scene(['a', 'b']);
  await read(20);
  for (const wrong of ['fails', 'is slow'] as const) {
    mishap.set('a', wrong);
    await read(4);
    mishap.delete('a');
    t.deepEqual(new Set(await read(20)), new Set(['b']), `control: a node that ${wrong} is left alone`);
    await clock.pass(10_001);
    t.true((await read(20)).filter((node) => node === 'a').length >= 8, `a node that ${wrong} once gets its turns again`);
  }
});

test('a node that is still slow costs one read each time that it is tried again', async (t) => {
  const { read, clock, mishap } = await scene(['a', 'b']);
  mishap.set('a', 'is slow');
  await read(4);
  for (let i = 0; i < 3; i++) {
    await clock.pass(10_001);
    t.is((await read(30)).filter((node) => node === 'a').length, 1);
  }
});

test('a draining node is read from only when no active one can answer, and a quiesced one only when no other can', async (t) => {
  const { read, mishap } = await scene(['a', 'b', 'c'], { b: 'draining', c: 'quiesced' });
  t.deepEqual(new Set(await read(10)), new Set(['a']));
  mishap.set('a', 'fails');
  t.deepEqual(new Set(await read(10)), new Set(['b']));
  mishap.set('b', 'fails');
  t.deepEqual(new Set(await read(10)), new Set(['c']));
});

/** A reader over nodes that answer in a millisecond, but for their mishaps. */
async function scene(ids: readonly string[], wishes: Record<string, NodeState> = {}) {
  const clock = new HeldClock();
  const mishap = new Map<string, 'fails' | 'is slow'>();
  const answered: string[] = [];
  const client = (node: string, url: string) => ({
    node, url,
    status: async () => ({ node, ready: true, writable: true, loadAverage: 0, diskFreeBytes: 1, diskTotalBytes: 2 }) as NodeStatus,
    read: async () => {
      await clock.pass(mishap.get(node) === 'is slow' ? 500 : 1);
      if (mishap.get(node) === 'fails') throw new TrivetError('internal');
      answered.push(node);
      const body = Readable.from([]);
      return { status: 200, headers: {}, body };
    },
  }) as unknown as NodeClient;
  const nodes = new NodeRegistry({ list: async () => ids.map((id) => ({ id, url: `http://${id}`, state: 'active' as const, zone: '' })) }, client, { healthChanged() {}, clockSeen() {} });
  await nodes.refresh();
  await nodes.poll();
  const reader = new Reader(nodes, NO_SILENCE, { asked() {} }, clock, 1000);
  const route = { repository: { id: 'r', name: 'r', generation: 1n }, replicas: ids.map((node) => ({ node, state: 'current', nodeState: wishes[node] ?? 'active' })) } as unknown as Route;
  return {
    clock, mishap,
    /** Reads so often, one after another. @returns which node answered each */
    async read(times: number): Promise<string[]> {
      const from = answered.length;
      for (let i = 0; i < times; i++) {
        const { body } = await reader.read({ route, path: '', gitProtocol: undefined, requestId: 'x', signal: new AbortController().signal });
        body.resume();
        await new Promise((done) => body.once('close', done));
      }
      return answered.slice(from);
    },
  };
}
