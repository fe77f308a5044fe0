import { statfs } from 'node:fs/promises';
import { loadavg } from 'node:os';
import type { FastifyInstance } from 'fastify';
import type { NodeStatus } from '@trivet/proto/messages.ts';
import { running } from '../git/process.ts';
import type { ReplicaContext } from '../context.ts';

/** `/healthz`: the process runs. `/readyz`: it serves. `/metrics`: Prometheus. `/status`: the heartbeat. */
export function registerHealth(app: FastifyInstance, context: ReplicaContext): void {
  const open = { config: { public: true } };
  app.get('/healthz', open, async () => ({ status: 'ok' }));
  // A node whose journal failed can't promise; it is better left out than asked each time.
  const isReady = () => context.ready && !context.journal.failed;
  app.get('/readyz', open, async (_request, reply) => {
    await reply.code(isReady() ? 200 : 503).send({ status: isReady() ? 'ok' : context.journal.failed ? 'disk failure' : 'starting' });
  });
  app.get('/metrics', open, async (_request, reply) => {
    await reply.type(context.metrics.registry.contentType).send(await context.metrics.registry.metrics());
  });
  app.get('/status', { config: { early: true } }, async (): Promise<NodeStatus> => {
    const disk = await statfs(context.config.directory);
    const opened = [...context.replicas.opened];
    return {
      node: context.config.node,
      boot: context.boot,
      ready: isReady(),
      loadAverage: loadavg()[0]!,
      diskFreeBytes: disk.bavail * disk.bsize,
      diskTotalBytes: disk.blocks * disk.bsize,
      gitProcesses: running.size,
      replicas: opened.length,
      promises: opened.filter((replica) => replica.promise !== undefined).length,
    };
  });
}
