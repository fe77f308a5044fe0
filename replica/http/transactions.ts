import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import {
  AbortRequest, CommitRequest, PrepareRequest, RepositoryParams, type PrepareAnswer, type PromiseListing, type ReplicaPosition,
} from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import type { Phase } from '../metrics.ts';

/** Phases 2 and 3 of a transaction: prepare, commit, abort; and the promises that are held. */
export function registerTransactions(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { participant, replicas } = context;

  async function timed<T>(phase: Phase, action: () => Promise<T>): Promise<T> {
    const end = context.metrics.phase.startTimer({ phase });
    try {
      const answer = await action();
      end({ outcome: 'ok' });
      return answer;
    } catch (error) {
      end({ outcome: 'failed' });
      throw error;
    }
  }

  app.post('/repositories/:repository/prepare', { config: { during: 'always' }, schema: { params: RepositoryParams, body: PrepareRequest } },
    async (request): Promise<PrepareAnswer> => timed('prepare', () => (
      replicas.use(request.params.repository, (replica) => participant.prepare(replica, request.body)))));

  app.post('/repositories/:repository/commit', { config: { during: 'always' }, schema: { params: RepositoryParams, body: CommitRequest } },
    async (request): Promise<ReplicaPosition> => timed('commit', () => (
      replicas.use(request.params.repository, (replica) => participant.commit(replica, request.body)))));

  app.post('/repositories/:repository/abort', { config: { during: 'always' }, schema: { params: RepositoryParams, body: AbortRequest } },
    async (request) => {
      await timed('abort', () => replicas.use(request.params.repository, (replica) => participant.abort(replica, request.body)));
      return {};
    });

  app.get('/promises', { config: { during: 'always' } }, async (): Promise<PromiseListing> => ({
    promises: [...replicas.opened].flatMap(({ promise }) => (promise === undefined ? [] : [{
      repository: promise.record.repository, batch: promise.record.batch, transactions: promise.record.transactions,
      ageMs: context.clock.elapsed() - promise.madeAtElapsedMs,
    }])),
  }));
}
