import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { NodeId } from '@trivet/proto/messages.ts';
import type { AskedReplica } from '../maintenance/requests.ts';
import { MaintenanceAsked } from '../rest/maintenance.ts';
import { namedRepository } from './named-repository.ts';

const Body = Type.Object({
  repository: Type.String({ maxLength: 300 }),
  /** Only the replica on this node. */
  node: Type.Optional(NodeId),
}, { additionalProperties: false });

/** What this route needs of the controller. */
export interface MaintenancePart {
  maintenance: { request(repository: string, node: string | undefined): Promise<AskedReplica[]> };
}

/** REST: asks the nodes of a repository to maintain their replicas, and answers when they have been asked. */
export function registerMaintenance(plain: FastifyInstance, { maintenance }: MaintenancePart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post('/api/v1/maintenance', { schema: { body: Body, response: { 202: MaintenanceAsked } } }, async (request, reply) => {
    const repository = namedRepository(request.body.repository);
    return reply.code(202).send({ repository, replicas: await maintenance.request(repository, request.body.node) });
  });
}
