import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { NodeId } from '@trivet/proto/messages.ts';
import { FindingPage, type FindingAnswer } from '../rest/finding.ts';
import type { FindingFilter } from '../store/findings.ts';
import type { Finding } from '../store/rows.ts';
import { filterRepository, type RepositoryNames } from './named-repository.ts';
import { PAGE_QUERY, pageQuery, readPage } from './page-query.ts';

const ListQuery = Type.Object({
  /** Only those that aren't resolved yet, or only those that are. */
  open: Type.Optional(Type.Enum(['true', 'false'])),
  repository: Type.Optional(Type.String({ maxLength: 300 })),
  node: Type.Optional(NodeId),
  ...PAGE_QUERY,
}, { additionalProperties: false });

/** What this route needs of the controller. */
export interface FindingsPart {
  repositories: RepositoryNames;
  findings: { page(filter: FindingFilter): Promise<Finding[]> };
}

/** REST: what verification found on the nodes' disks, the newest first. */
export function registerFindings(plain: FastifyInstance, { repositories, findings }: FindingsPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.get('/api/v1/findings', { schema: { querystring: ListQuery, response: { 200: FindingPage } } }, async (request) => {
    const { open, node } = request.query;
    const query = pageQuery(request.query);
    const repository = await filterRepository(repositories, request.query.repository);
    const filter = { open: open === undefined ? undefined : open === 'true', repository, node };
    return readPage(query, (page) => findings.page({ ...page, ...filter }), describe);
  });
}

function describe({ id, node, repository, repositoryName, kind, detail, foundAt, resolvedAt }: Finding): FindingAnswer {
  return {
    id, node, repository: repositoryName, repositoryId: repository, kind, detail,
    foundAt: foundAt.toISOString(), resolvedAt: resolvedAt?.toISOString() ?? null,
  };
}
