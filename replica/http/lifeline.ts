import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { LifelineQuery } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';

/** GET /lifeline: an answer that begins and doesn't end while controller and node live. */
export function registerLifeline(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  app.get('/lifeline', { schema: { querystring: LifelineQuery } }, async (request, reply) => {
    const { raw } = reply.hijack();
    raw.writeHead(200, { 'content-type': 'application/octet-stream' });
    raw.flushHeaders();
    raw.once('close', context.lifelines.open(request.query.controller, () => raw.destroy()));
  });
}
