import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import {
  CreateReplicaRequest, RepairRequest, RepositoryParams, type ReplicaPosition, type RefsSnapshot,
} from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import { generationAsked } from './reads.ts';
import { requestSignal } from './request-signal.ts';

/** The life of a replica: created, repaired, removed, and its refs as data. */
export function registerReplicas(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { replicas } = context;

  app.put('/repositories/:repository', { schema: { params: RepositoryParams, body: CreateReplicaRequest } },
    async (request): Promise<ReplicaPosition> => {
      const { repository } = request.params;
      await replicas.create(repository, request.body.objectFormat, request.body.head);
      return replicas.use(repository, async (replica) => replica.position);
    });

  app.delete('/repositories/:repository', { schema: { params: RepositoryParams } }, async (request) => {
    await replicas.remove(request.params.repository);
    return {};
  });

  app.get('/repositories/:repository/refs', { schema: { params: RepositoryParams } }, async (request): Promise<RefsSnapshot> => {
    return replicas.use(request.params.repository, async (replica) => {
      await replica.reach(generationAsked(request), context.config.catchUpMs);
      context.metrics.reads.inc({ service: 'snapshot', outcome: 'ok' });
      return {
        objectFormat: replica.objectFormat,
        ...replica.position,
        head: replica.refs.head,
        refs: [...replica.refs.entries()].map(([name, oid]) => [name, oid]),
      };
    });
  });

  app.post('/repositories/:repository/repair', { schema: { params: RepositoryParams, body: RepairRequest } },
    async (request, reply): Promise<ReplicaPosition> => {
      const { round } = request.body;
      try {
        const position = await context.repair.run(request.params.repository, request.body, requestSignal(reply));
        context.metrics.repairs.inc({ round, outcome: 'ok' });
        return position;
      } catch (error) {
        context.metrics.repairs.inc({ round, outcome: 'failed' });
        throw error;
      }
    });
}
