import Type from 'typebox';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { Id, NodeId } from '@trivet/proto/messages.ts';
import { JOB_STATES, JobAnswer, JobPage, OpenedJobs } from '../rest/repair-job.ts';
import type { JobFilter } from '../store/jobs.ts';
import type { RepairJob } from '../store/rows.ts';
import { filterRepository, namedRepository, type RepositoryNames } from './named-repository.ts';
import { PAGE_QUERY, pageQuery, readPage } from './page-query.ts';

const closed = { additionalProperties: false };
const PATH = '/api/v1/repair-jobs';

const ListQuery = Type.Object({
  /** `open`: waiting or running. */
  state: Type.Optional(Type.Enum(['open', ...JOB_STATES])),
  repository: Type.Optional(Type.String({ maxLength: 300 })),
  node: Type.Optional(NodeId),
  ...PAGE_QUERY,
}, closed);

const RequestBody = Type.Object({
  repository: Type.String({ maxLength: 300 }),
  /** Only this replica, even if it is current: then it is checked in full. Without it, every one that isn't current. */
  node: Type.Optional(NodeId),
}, closed);

const JobParams = Type.Object({ id: Id }, closed);

/** What these routes need of the controller. */
export interface RepairJobsPart {
  repositories: RepositoryNames;
  jobs: {
    page(filter: JobFilter): Promise<RepairJob[]>;
    get(id: string): Promise<RepairJob | undefined>;
    cancel(id: string): Promise<RepairJob>;
    retry(id: string): Promise<RepairJob>;
  };
  repairs: { request(repository: string, node: string | undefined): Promise<RepairJob[]> };
}

/** REST: repair jobs, the newest first. */
export function registerRepairJobs(plain: FastifyInstance, { repositories, jobs, repairs }: RepairJobsPart): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.get(PATH, { schema: { querystring: ListQuery, response: { 200: JobPage } } }, async (request) => {
    const { state, node } = request.query;
    const query = pageQuery(request.query);
    const repository = await filterRepository(repositories, request.query.repository);
    return readPage(query, (page) => jobs.page({ ...page, state, repository, node }), describeJob);
  });

  app.post(PATH, { schema: { body: RequestBody, response: { 202: OpenedJobs } } }, async (request, reply) => {
    const opened = await repairs.request(namedRepository(request.body.repository), request.body.node);
    return reply.code(202).send({ items: opened.map(describeJob) });
  });

  const one = { schema: { params: JobParams, response: { 200: JobAnswer } } };
  app.get(`${PATH}/:id`, one, async (request) => {
    const job = await jobs.get(request.params.id);
    if (job === undefined) throw new TrivetError('job_not_found', { job: request.params.id });
    return describeJob(job);
  });
  app.post(`${PATH}/:id/cancel`, one, async (request) => describeJob(await jobs.cancel(request.params.id)));
  app.post(`${PATH}/:id/retry`, one, async (request) => describeJob(await jobs.retry(request.params.id)));
}

/** A job as REST shows it. */
export function describeJob(job: RepairJob): JobAnswer {
  return {
    id: job.id,
    repository: job.repositoryName,
    repositoryId: job.repository,
    node: job.node,
    source: job.source,
    reason: job.reason,
    detail: job.detail,
    state: job.state,
    way: job.way,
    round: job.round,
    attempt: job.attempt,
    progress: { objects: job.objects, totalObjects: job.totalObjects, bytes: job.bytes, totalBytes: job.totalBytes },
    holder: job.holder,
    leaseUntil: job.leaseUntil?.toISOString() ?? null,
    nextAttemptAt: job.nextAttemptAt.toISOString(),
    lastError: job.lastError,
    createdAt: job.createdAt.toISOString(),
    startedAt: job.startedAt?.toISOString() ?? null,
    finishedAt: job.finishedAt?.toISOString() ?? null,
  };
}
