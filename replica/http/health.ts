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
  app.get('/readyz', open, async (_request, reply) => {
    const serving = context.isWritable() ? 'ok' : 'read only';
    const serves = context.ready && context.stopping === false;
    await reply.code(serves ? 200 : 503).send({ status: serves ? serving : context.stopping === false ? 'starting' : 'stopping' });
  });
  app.get('/metrics', open, async (_request, reply) => {
    await reply.type(context.metrics.registry.contentType).send(await context.metrics.registry.metrics());
  });
  app.get('/status', { config: { early: true, during: 'always' } }, async (): Promise<NodeStatus> => {
    const disk = await statfs(context.config.directory);
    const opened = [...context.replicas.opened];
    return {
      node: context.config.node,
      boot: context.boot,
      ready: context.ready && context.stopping === false,
      stopping: context.stopping !== false,
      writable: context.isWritable(),
      loadAverage: loadavg()[0]!,
      diskFreeBytes: disk.bavail * disk.bsize,
      diskTotalBytes: disk.blocks * disk.bsize,
      gitProcesses: running.size,
      replicas: opened.length,
      maintaining: context.maintenance.current === undefined ? [] : [context.maintenance.current],
      promises: opened.filter((replica) => replica.promise !== undefined).length,
    };
  });
}
