import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { NodeId } from '@trivet/proto/messages.ts';
import { DataLossAnswer, DataLossPage } from '../rest/data-loss.ts';
import type { DataLossPlan, DataLossRequest } from '../repair/data-loss.ts';
import type { DataLossRecord } from '../store/rows.ts';
import { namedRepository } from './named-repository.ts';
import { PAGE_QUERY, pageQuery, readPage, type PageQuery } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/data-losses';

const ListQuery = Type.Object({ ...PAGE_QUERY }, closed);

const Body = Type.Object({
  repository: Type.String({ maxLength: 300 }),
  /** The node whose replica becomes the truth. */
  source: NodeId,
  acceptedBy: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S' }),
  reason: Type.String({ minLength: 1, maxLength: 500, pattern: '\\S' }),
  /** True unless it is given as false: then it is done. */
  dryRun: Type.Optional(Type.Boolean()),
}, closed);

/** What these routes need of the controller. */
export interface DataLossPart {
  dataLoss: { accept(request: DataLossRequest): Promise<DataLossPlan> };
  dataLosses: { page(page: PageQuery): Promise<DataLossRecord[]> };
}

/** REST: the last resort, when the newest state of a repository can't be had any more; and who resorted to it. */
export function registerDataLosses(plain: FastifyInstance, { dataLoss, dataLosses }: DataLossPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post(PATH, { schema: { body: Body, response: { 200: DataLossAnswer } } }, async (request) => {
    const { repository, source, acceptedBy, reason, dryRun } = request.body;
    const { acceptedAt, ...plan } = await dataLoss.accept({
      repository: namedRepository(repository), source, acceptedBy: acceptedBy.trim(), reason: reason.trim(), dryRun: dryRun ?? true,
    });
    return { ...plan, acceptedAt: acceptedAt?.toISOString() ?? null };
  });

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: DataLossPage } } }, async (request) => (
    readPage(pageQuery(request.query), (page) => dataLosses.page(page), describe)));
}

function describe({ repository, repositoryName, sourceGeneration, before, acceptedAt, ...record }: DataLossRecord): DataLossAnswer {
  return {
    ...record, repository: repositoryName, repositoryId: repository, dryRun: false, before,
    lost: { generations: Math.max(before.generation - sourceGeneration, 0) },
    // What each replica had is part of the plan; what became of them since is their own matter.
    replicas: [],
    acceptedAt: acceptedAt.toISOString(),
  };
}
