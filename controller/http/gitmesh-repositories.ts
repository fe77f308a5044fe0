import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ControllerContext } from '../context.ts';
import type { Route } from '../store/rows.ts';
import { describeRepository } from './describe-repository.ts';
import { nameBelow } from './named-repository.ts';
import { NEW_REPOSITORY, newRepository } from './new-repository.ts';

const PREFIX = '/api/repos/';
const MAX_PAGE = 1_000;

const CreateBody = Type.Union([Type.Null(), Type.Object(NEW_REPOSITORY, { additionalProperties: false })]);

const ListQuery = Type.Object({
  /** The last name of the page before. */
  after: Type.Optional(Type.String({ maxLength: 200 })),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$' })),
}, { additionalProperties: false });

/** REST: repositories, in the form that gitmesh's clients know. */
export function registerGitmeshRepositories(plain: FastifyInstance, context: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post(`${PREFIX}*`, { schema: { body: CreateBody } }, async (request, reply) => {
    const name = nameBelow(PREFIX, request);
    const route = await context.creation.create(newRepository(name, request.body ?? {}, context.config.replicationFactor));
    await reply.code(201).header('location', `${PREFIX}${name}`).send(describe(route));
  });

  app.get('/api/repos', { schema: { querystring: ListQuery } }, async (request) => {
    const { after, limit } = request.query;
    const routes = await context.repositories.list({ after, limit: Math.min(Number(limit ?? MAX_PAGE), MAX_PAGE) });
    return routes.map(describe);
  });

  app.get(`${PREFIX}*`, async (request) => {
    const name = nameBelow(PREFIX, request);
    const route = await context.repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return describe(route);
  });

  app.delete(`${PREFIX}*`, async (request) => describe(await context.trash.put(nameBelow(PREFIX, request))));
}

/** `nodes`, `primaryNode` and `timestamp` are what gitmesh's clients read. */
function describe(route: Route): object {
  const { repository, replicas } = route;
  return {
    ...describeRepository(route),
    primaryNode: replicas.find((replica) => replica.state === 'current')?.url ?? null,
    timestamp: repository.createdAt.getTime(),
    nodes: replicas.map((replica) => ({ url: replica.url, status: replica.state === 'current' ? 'READY' : 'PREPARING' })),
  };
}
