import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { Id } from '@trivet/proto/messages.ts';
import type { ControllerContext } from '../context.ts';
import { IMPORT_STATES, ImportAnswer, ImportPage } from '../rest/import.ts';
import type { Import } from '../store/rows.ts';
import { namedRepository } from './named-repository.ts';
import { NEW_REPOSITORY, newRepository } from './new-repository.ts';
import { PAGE_QUERY, pageQuery, readPage } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/imports';
const Params = Type.Object({ id: Id }, closed);
/** `open`: waiting or running. */
const ListQuery = Type.Object({ state: Type.Optional(Type.Enum(['open', ...IMPORT_STATES])), ...PAGE_QUERY }, closed);
const Body = Type.Object({ name: Type.String({ maxLength: 300 }), source: Type.String({ maxLength: 3_000 }), ...NEW_REPOSITORY }, closed);

/** REST: repositories that are filled from elsewhere, the newest first. */
export function registerImports(plain: FastifyInstance, context: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { imports, importing } = context;
  const one = { params: Params, response: { 200: ImportAnswer } };

  app.post(PATH, { schema: { body: Body, response: { 202: ImportAnswer } } }, async (request, reply) => {
    const { name, source, ...given } = request.body;
    const input = newRepository(namedRepository(name), given, context.config.replicationFactor);
    const started = await importing.start(input, source);
    return reply.code(202).header('location', `${PATH}/${started.id}`).send(describeImport(started));
  });

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: ImportPage } } }, async (request) => {
    const { state } = request.query;
    return readPage(pageQuery(request.query), (page) => imports.page({ ...page, state }), describeImport);
  });

  app.get(`${PATH}/:id`, { schema: one }, async (request) => {
    const found = await imports.get(request.params.id);
    if (found === undefined) throw new TrivetError('import_not_found', { import: request.params.id });
    return describeImport(found);
  });

  app.post(`${PATH}/:id/cancel`, { schema: one }, async (request) => describeImport(await imports.cancel(request.params.id)));
}

function describeImport(each: Import): ImportAnswer {
  return {
    id: each.id,
    repository: each.repositoryName,
    repositoryId: each.repository,
    source: each.source,
    state: each.state,
    phase: each.phase,
    node: each.node,
    progress: { objects: each.objects, totalObjects: each.totalObjects, bytes: each.bytes },
    attempt: each.attempt,
    lastError: each.lastError,
    createdAt: each.createdAt.toISOString(),
    finishedAt: each.finishedAt?.toISOString() ?? null,
  };
}
