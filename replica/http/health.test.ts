import test from 'ava';
import fastify from 'fastify';
import { tmpdir } from 'node:os';
import type { ReplicaContext } from '../context.ts';
import { registerHealth } from './health.ts';

for (const [ready, failed, serves] of [[true, false, true], [true, true, false], [false, false, false]] as const) {
  test(`a node ${ready ? 'past' : 'before'} its handshake with a ${failed ? 'failed' : 'sound'} journal says that it ${serves ? 'serves' : 'does not serve'}`, async (t) => {
    const app = fastify();
    t.teardown(() => app.close());
    registerHealth(app, {
      ready, journal: { failed }, config: { node: 'n1', directory: tmpdir() }, boot: 'b', replicas: { opened: [] },
    } as unknown as ReplicaContext);
    t.is((await app.inject('/readyz')).statusCode, serves ? 200 : 503);
    t.is((await app.inject('/status')).json<{ ready: boolean }>().ready, serves);
  });
}
