import test from 'ava';
import fastify from 'fastify';
import { tmpdir } from 'node:os';
import { systemClock } from '@trivet/proto/clock.ts';
import type { ReplicaContext } from '../context.ts';
import { registerHealth } from './health.ts';

for (const [ready, writable, code, status] of [[true, true, 200, 'ok'], [true, false, 200, 'read only'], [false, true, 503, 'starting']] as const) {
  test(`a node ${ready ? 'past' : 'before'} its handshake that ${writable ? 'can' : 'can not'} promise says "${status}"`, async (t) => {
    const app = fastify();
    t.teardown(() => app.close());
    registerHealth(app, {
      ready, stopping: false, isWritable: () => writable, config: { node: 'n1', directory: tmpdir() }, boot: 'b', replicas: { opened: [] }, maintenance: {}, clock: systemClock,
    } as unknown as ReplicaContext);
    const answer = await app.inject('/readyz');
    t.is(answer.statusCode, code);
    t.is(answer.json<{ status: string }>().status, status);
    t.like((await app.inject('/status')).json(), { ready, writable });
  });
}
