import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isBranch, isRefName } from '@trivet/proto/ref-name.ts';
import { isRepositoryName } from '@trivet/proto/repository-name.ts';
import type { ControllerContext } from '../context.ts';
import type { Route } from '../store/rows.ts';
import { pathBelow, repositoryName } from './git-path.ts';

const PREFIX = '/api/repos/';
const MAX_PAGE = 1_000;

const CreateBody = Type.Union([Type.Null(), Type.Object({
  /** A branch, with or without `refs/heads/`. */
  defaultBranch: Type.Optional(Type.String({ minLength: 1, maxLength: 250 })),
  objectFormat: Type.Optional(Type.Union([Type.Literal('sha1'), Type.Literal('sha256')])),
  replicationFactor: Type.Optional(Type.Integer({ minimum: 1, maximum: 9 })),
  denyNonFastForwards: Type.Optional(Type.Boolean()),
  denyDeletes: Type.Optional(Type.Boolean()),
}, { additionalProperties: false })]);

const ListQuery = Type.Object({
  /** The last name of the page before. */
  after: Type.Optional(Type.String({ maxLength: 200 })),
  limit: Type.Optional(Type.String({ pattern: '^[1-9][0-9]{0,3}$' })),
}, { additionalProperties: false });

/** REST: repositories. A name may have several segments, so it is everything behind the prefix. */
export function registerRepositories(plain: FastifyInstance, context: ControllerContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post(`${PREFIX}*`, { schema: { body: CreateBody } }, async (request, reply) => {
    const name = nameOf(request);
    const body = request.body ?? {};
    const route = await context.creation.create({
      name,
      defaultBranch: branchRef(body.defaultBranch ?? 'main'),
      objectFormat: body.objectFormat ?? 'sha1',
      replicationFactor: body.replicationFactor ?? context.config.replicationFactor,
      policy: { denyNonFastForwards: body.denyNonFastForwards ?? false, denyDeletes: body.denyDeletes ?? false },
    });
    await reply.code(201).header('location', `${PREFIX}${name}`).send(describeRepository(route));
  });

  app.get('/api/repos', { schema: { querystring: ListQuery } }, async (request) => {
    const { after, limit } = request.query;
    const routes = await context.repositories.list({ after, limit: Math.min(Number(limit ?? MAX_PAGE), MAX_PAGE) });
    return routes.map(describeRepository);
  });

  app.get(`${PREFIX}*`, async (request) => {
    const name = nameOf(request);
    const route = await context.repositories.route(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return describeRepository(route);
  });

  app.delete(`${PREFIX}*`, async (request) => {
    const name = nameOf(request);
    const route = await context.creation.remove(name);
    if (route === undefined) throw new TrivetError('repository_not_found', { repository: name });
    return describeRepository(route);
  });
}

/** A repository as REST shows it. `nodes`, `primaryNode` and `timestamp` are what gitmesh's clients read. */
export function describeRepository({ repository, replicas }: Route): object {
  return {
    name: repository.name,
    id: repository.id,
    generation: repository.generation,
    digest: repository.digest,
    defaultBranch: repository.defaultBranch.replace(/^refs\/heads\//, ''),
    objectFormat: repository.objectFormat,
    replicationFactor: repository.replicationFactor,
    ...repository.policy,
    createdAt: repository.createdAt.toISOString(),
    replicas: replicas.map(({ node, state, generation, digest, reason }) => ({ node, state, generation, digest, reason })),
    primaryNode: replicas.find((replica) => replica.state === 'current')?.url ?? null,
    timestamp: repository.createdAt.getTime(),
    nodes: replicas.map((replica) => ({ url: replica.url, status: replica.state === 'current' ? 'READY' : 'PREPARING' })),
  };
}

function nameOf(request: FastifyRequest): string {
  // From the URL as it came, decoded once: the router's own decoding would let `%252e` become `%2e`.
  const name = repositoryName(pathBelow(PREFIX, request.raw.url!));
  if (!isRepositoryName(name)) throw new TrivetError('bad_repository_name', { name });
  return name;
}

function branchRef(branch: string): string {
  const ref = isBranch(branch) ? branch : `refs/heads/${branch}`;
  if (!isRefName(ref)) throw new TrivetError('bad_request', { problem: 'not a branch name', defaultBranch: branch });
  return ref;
}
