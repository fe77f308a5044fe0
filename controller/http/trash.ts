import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { Id } from '@trivet/proto/messages.ts';
import type { ControllerContext } from '../context.ts';
import { RepositoryAnswer, RepositoryPage } from '../rest/repository.ts';
import type { Route } from '../store/rows.ts';
import { describeRepository } from './describe-repository.ts';
import { namedRepository } from './named-repository.ts';
import { PAGE_QUERY, pageQuery, readPageBy } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/trash';
const Params = Type.Object({ id: Id }, closed);
const ListQuery = Type.Object(PAGE_QUERY, closed);
/** Without a name, the one it had. */
const RestoreBody = Type.Union([Type.Null(), Type.Object({ name: Type.Optional(Type.String({ maxLength: 300 })) }, closed)]);

/** REST: what was deleted and can be restored. By id, for several may have had the same name. */
export function registerTrash(plain: FastifyInstance, { repositories, trash }: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const one = { params: Params, response: { 200: RepositoryAnswer } };

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: RepositoryPage } } }, async (request) => {
    return readPageBy(({ repository }) => repository.id, pageQuery(request.query), (page) => repositories.trash(page), describe);
  });

  app.post(`${PATH}/:id/restore`, { schema: { ...one, body: RestoreBody } }, async (request) => {
    const name = request.body?.name;
    return describeRepository(await trash.restore(request.params.id, name === undefined ? undefined : namedRepository(name)));
  });

  app.delete(`${PATH}/:id`, { schema: one }, async (request) => describe(await trash.purge(request.params.id)));

  function describe(route: Route): RepositoryAnswer {
    const { trashed } = route.repository;
    return describeRepository(route, trashed === null ? undefined : trash.expiresAt(trashed.at));
  }
}
