import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ControllerContext } from '../context.ts';
import { RepositoryAnswer, RepositoryPage } from '../rest/repository.ts';
import type { Route } from '../store/rows.ts';
import { describeRepository } from './describe-repository.ts';
import { branchRef, nameBelow, namedRepository } from './named-repository.ts';
import { NEW_REPOSITORY, newRepository } from './new-repository.ts';
import { limitOf, PAGE_QUERY, readPageBy } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/repositories';

/** `after` is the last name of the page before. */
const ListQuery = Type.Object(PAGE_QUERY, closed);
const CreateBody = Type.Object({ name: Type.String({ maxLength: 300 }), ...NEW_REPOSITORY }, closed);
const { defaultBranch, replicationFactor, denyNonFastForwards, denyDeletes } = NEW_REPOSITORY;
const ChangeBody = Type.Object({
  name: Type.Optional(Type.String({ maxLength: 300 })), defaultBranch, replicationFactor, denyNonFastForwards, denyDeletes,
}, { ...closed, minProperties: 1 });

/** REST: repositories, by name. A name may have several segments, so it is everything behind the path. */
export function registerRepositories(plain: FastifyInstance, context: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const prefix = `${PATH}/`;
  const one = { response: { 200: RepositoryAnswer } };

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: RepositoryPage } } }, async (request) => {
    const query = { after: request.query.after, limit: limitOf(request.query) };
    return readPageBy(nameOf, query, (page) => context.repositories.list(page), (route) => describeRepository(route));
  });

  app.post(PATH, { schema: { body: CreateBody, response: { 201: RepositoryAnswer } } }, async (request, reply) => {
    const { name, ...given } = request.body;
    const input = newRepository(namedRepository(name), given, context.config.replicationFactor);
    return reply.code(201).header('location', `${prefix}${input.name}`).send(describeRepository(await context.creation.create(input)));
  });

  app.get(`${prefix}*`, { schema: one }, async (request) => {
    const name = nameBelow(prefix, request);
    const route = await context.repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return describeRepository(route);
  });

  app.patch(`${prefix}*`, { schema: { body: ChangeBody, ...one } }, async (request) => {
    const name = nameBelow(prefix, request);
    const { defaultBranch: branch, name: newName, replicationFactor: factor, ...policy } = request.body;
    if (branch !== undefined) {
      if (Object.keys(request.body).length > 1) throw new TrivetError('bad_request', { problem: 'the default branch is changed alone: every replica takes part in it' });
      return describeRepository(await context.changes.defaultBranch(name, branchRef(branch)));
    }
    const change = { ...(newName === undefined ? {} : { name: namedRepository(newName) }), replicationFactor: factor, policy };
    return describeRepository(await context.changes.apply(name, change));
  });

  app.delete(`${prefix}*`, { schema: one }, async (request) => {
    const { repository: { id } } = await context.trash.put(nameBelow(prefix, request));
    const route = await context.repositories.routeById(id);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: id });
    return describeRepository(route, context.trash.expiresAt(route.repository.trashed?.at ?? new Date()));
  });
}

function nameOf({ repository }: Route): string {
  return repository.name;
}
