import type { FastifyInstance } from 'fastify';
import type { ControllerContext } from '../context.ts';

/** `/healthz`: the process runs. `/readyz`: the store answers and a node can be used. `/metrics`: Prometheus. */
export function registerHealth(app: FastifyInstance, context: ControllerContext): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const store = await context.database.ping().then(() => true, () => false);
    const nodes = context.nodes.all.filter((node) => context.nodes.usable(node.id) !== undefined).length;
    const ready = store && nodes > 0 && !context.stopping;
    await reply.code(ready ? 200 : 503).send({ status: ready ? 'ok' : 'not ready', store, nodes });
  });
  app.get('/metrics', async (_request, reply) => {
    await reply.type(context.metrics.registry.contentType).send(await context.metrics.registry.metrics());
  });
}
