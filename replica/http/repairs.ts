import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { TrivetError } from '@trivet/proto/errors.ts';
import {
  Id, RepairRequest, RepositoryParams, VerifyRequest, type RepairAnswer, type RepairProgress, type VerifyAnswer,
} from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import { requestSignal } from './request-signal.ts';

const DiscardQuery = Type.Object({ job: Type.Optional(Id) }, { additionalProperties: false });

/** A round of repair, how far it is, its end; verification; and the wish that a replica be maintained now. */
export function registerRepairs(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { maintenance, repair, verify, metrics } = context;

  app.post('/repositories/:repository/repair', { config: { during: 'life' }, schema: { params: RepositoryParams, body: RepairRequest } },
    async (request, reply): Promise<RepairAnswer> => {
      const { round, way } = request.body;
      try {
        const answer = await repair.run(request.params.repository, request.body, requestSignal(reply));
        metrics.repairs.inc({ round, way, outcome: 'ok' });
        metrics.repairObjects.inc({ way }, answer.objects);
        metrics.repairBytes.inc({ way }, answer.bytes);
        return answer;
      } catch (error) {
        metrics.repairs.inc({ round, way, outcome: 'failed' });
        throw error;
      }
    });

  app.get('/repositories/:repository/repair', { schema: { params: RepositoryParams } }, async (request): Promise<RepairProgress> => {
    const progress = repair.progressOf(request.params.repository);
    if (progress === undefined) throw new TrivetError('not_found', { problem: 'no round of repair runs' });
    return progress;
  });

  app.delete('/repositories/:repository/repair', { schema: { params: RepositoryParams, querystring: DiscardQuery } }, async (request) => {
    await repair.discard(request.params.repository, request.query.job);
    return {};
  });

  app.post('/repositories/:repository/maintenance', { config: { during: 'life' }, schema: { params: RepositoryParams } }, async (request) => {
    await maintenance.ask(request.params.repository);
    return {};
  });

  app.post('/repositories/:repository/verify', { config: { during: 'life' }, schema: { params: RepositoryParams, body: VerifyRequest } },
    async (request, reply): Promise<VerifyAnswer> => {
      const kind = request.body.full ? 'full' : 'light';
      try {
        const answer = await verify.run(request.params.repository, request.body.full, requestSignal(reply));
        metrics.verifications.inc({ kind, result: answer.problems[0]?.kind ?? 'equal' });
        return answer;
      } catch (error) {
        const isMissing = error instanceof TrivetError && error.code === 'replica_missing';
        metrics.verifications.inc({ kind, result: isMissing ? 'missing' : 'failed' });
        throw error;
      }
    });
}
