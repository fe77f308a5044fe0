import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import {
  AdoptRequest, CreateReplicaRequest, RepositoryParams, type ReplicaListing, type ReplicaPosition, type ReplicaRemoval, type RefsSnapshot,
} from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import { adopt } from '../repair/adopt.ts';
import { generationAsked } from './reads.ts';

/** Only a replica that holds nothing. */
const RemoveQuery = Type.Object({ ifEmpty: Type.Optional(Type.Literal('true')) }, { additionalProperties: false });

/** The life of a replica: created, listed, removed, its refs as data, and the word that what it has is what counts. */
export function registerReplicas(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { replicas } = context;

  app.put('/repositories/:repository', { schema: { params: RepositoryParams, body: CreateReplicaRequest } },
    async (request): Promise<ReplicaPosition> => {
      const { repository } = request.params;
      await replicas.create(repository, request.body.objectFormat, request.body.head);
      return replicas.use(repository, (replica) => replica.settledPosition());
    });

  app.delete('/repositories/:repository', { schema: { params: RepositoryParams, querystring: RemoveQuery } }, async (request): Promise<ReplicaRemoval> => {
    const { repository } = request.params;
    const ifEmpty = request.query.ifEmpty === 'true';
    if (!ifEmpty) await context.repair.stop(repository);
    await context.maintenance.stop(repository);
    return { removed: await replicas.remove(repository, { ifEmpty }) };
  });

  app.get('/repositories/:repository/refs', { schema: { params: RepositoryParams } }, async (request): Promise<RefsSnapshot> => {
    return replicas.use(request.params.repository, async (replica) => {
      await replica.reach(generationAsked(request), context.config.catchUpMs);
      // In its turn: in the middle of a commit a replica has the new refs and still the old generation.
      const snapshot = await replica.exclusively(async () => ({
        objectFormat: replica.objectFormat, ...replica.position, head: replica.refs.head, entries: replica.refs.entries(),
      }));
      context.metrics.reads.inc({ service: 'snapshot', outcome: 'ok' });
      const { entries, ...position } = snapshot;
      return { ...position, refs: entries.map(([name, oid]) => [name, oid]) };
    });
  });

  app.get('/repositories', async (): Promise<ReplicaListing> => ({ replicas: await replicas.ids() }));

  app.post('/repositories/:repository/adopt', { schema: { params: RepositoryParams, body: AdoptRequest } },
    async (request): Promise<ReplicaPosition> => replicas.use(request.params.repository, (replica) => adopt(replica, request.body, context.journal, context.flush)));
}
