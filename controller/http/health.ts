import type { FastifyInstance } from 'fastify';
import { asTrivetError } from '@trivet/proto/errors.ts';
import type { ControllerContext } from '../context.ts';

/** `/healthz`: the process runs. `/readyz`: the store takes writes and a node can be used. `/metrics`: Prometheus. */
export function registerHealth(app: FastifyInstance, context: ControllerContext): void {
  app.get('/healthz', async () => ({ status: 'ok' }));
  app.get('/readyz', async (_request, reply) => {
    const problem = await context.database.checkWrites().then(() => undefined, (error: unknown) => asTrivetError(error));
    const store = problem === undefined;
    const nodes = context.nodes.all.filter((node) => context.nodes.usable(node.id) !== undefined).length;
    const ready = store && nodes > 0 && !context.stopping;
    await reply.code(ready ? 200 : 503).send({
      status: ready ? 'ok' : 'not ready', store, nodes, ...(problem === undefined ? {} : { problem: problem.fields['reason'] ?? problem.code }),
    });
  });
  app.get('/metrics', async (_request, reply) => {
    await reply.type(context.metrics.registry.contentType).send(await context.metrics.registry.metrics());
  });
}
