import fastify, { LogController, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { PassThrough, type Readable } from 'node:stream';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import { newId } from '@trivet/proto/id.ts';
import type { ControllerContext } from '../context.ts';
import { registerAtRisk } from './at-risk.ts';
import { registerCluster } from './cluster.ts';
import { registerControllers } from './controllers.ts';
import { registerDataLosses } from './data-losses.ts';
import { explain } from './explain.ts';
import { registerFindings } from './findings.ts';
import { infoRefs } from './git-info-refs.ts';
import { discardRest } from './body.ts';
import { parseGitPath } from './git-path.ts';
import { receivePack } from './git-receive-pack.ts';
import { uploadPack } from './git-upload-pack.ts';
import { registerHealth } from './health.ts';
import { registerImports } from './imports.ts';
import { registerInternal } from './internal.ts';
import { registerMaintenance } from './maintenance.ts';
import { registerNodes } from './nodes.ts';
import { registerNodeStates } from './node-states.ts';
import { registerRepairJobs } from './repair-jobs.ts';
import { registerGitmeshRepositories } from './gitmesh-repositories.ts';
import { registerRepositories } from './repositories.ts';
import { registerTrash } from './trash.ts';
import { registerTransactions } from './transactions.ts';
import { registerVerifications } from './verifications.ts';

const MAX_JSON_BYTES = 64 * 1024;
/** How often connections are looked at whose headers take too long. */
const CONNECTIONS_CHECK_MS = 5_000;
/** How long the rest of a refused body is read and thrown away. */
const DISCARD_MS = 10_000;
const MAX_HEADER_BYTES = 16 * 1024;
/** Whatever comes as a body with these is not read. */
const BODILESS = ['GET', 'HEAD'];
const GIT_ROUTE = '/git/*';

/** The controller's HTTP service: git under `/git/`, REST under `/api/`, what nodes ask under `/internal/`. */
export function makeServer(context: ControllerContext): FastifyInstance {
  const { headersMs, bodyIdleMs } = context.config.deadlines;
  const app: FastifyInstance = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: MAX_JSON_BYTES,
    genReqId: () => newId(),
    // No limit on a whole request: a push may take hours. Its pauses are bounded where the body is read.
    requestTimeout: 0,
    http: {
      headersTimeout: headersMs, connectionsCheckingInterval: Math.min(headersMs, CONNECTIONS_CHECK_MS), maxHeaderSize: MAX_HEADER_BYTES,
    },
    routerOptions: { maxParamLength: 2_000 },
    // What the framework refuses before there is a route, such as a URL that can't be decoded.
    frameworkErrors: (error, request, reply) => { void answerError(error, request, reply as unknown as FastifyReply); },
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.setErrorHandler(answerError);
  app.removeContentTypeParser('text/plain');
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send(new TrivetError('not_found').toJSON()));
  app.addHook('preParsing', async (request, _reply, payload) => (
    isGit(request) || BODILESS.includes(request.method) ? payload : withinDeadline(payload, bodyIdleMs)));
  void app.register(async (git) => {
    // Git bodies are streams, whatever their type says; each request checks the type itself.
    git.removeAllContentTypeParsers();
    git.addContentTypeParser('*', (_request, payload, done) => done(null, payload));
    git.all(GIT_ROUTE, async (request, reply) => {
      const path = parseGitPath(request.raw.url!);
      switch (path.service) {
        case 'info/refs': await infoRefs(context, request, reply, path.repository); break;
        case 'git-upload-pack': await uploadPack(context, request, reply, path.repository); break;
        case 'git-receive-pack': await receivePack(context, request, reply, path.repository); break;
      }
      return reply;
    });
  });
  registerGitmeshRepositories(app, context);
  registerRepositories(app, context);
  registerTrash(app, context);
  registerImports(app, context);
  registerNodes(app, context);
  registerNodeStates(app, context);
  registerAtRisk(app, context);
  registerRepairJobs(app, context);
  registerVerifications(app, context);
  registerMaintenance(app, context);
  registerFindings(app, context);
  registerTransactions(app, context);
  registerDataLosses(app, context);
  registerControllers(app, context);
  registerCluster(app, context);
  registerHealth(app, context);
  registerInternal(app, context);
  return app;
}

async function answerError(error: FastifyError, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const fault = translate(error);
  if (hasLeft(error, reply)) request.log.info({ method: request.method, url: request.url.slice(0, 500) }, 'the client left');
  else if (fault.code === 'internal') request.log.error({ err: error }, 'unexpected error');
  else request.log.info({ code: fault.code, fields: fault.fields, method: request.method, url: request.url.slice(0, 500) }, 'refused');
  if (fault.retry && fault.status === 503) void reply.header('retry-after', '1');
  if (fault.code === 'method_not_allowed') void reply.header('allow', String(fault.fields['allowed'] ?? ''));
  if (!request.raw.complete) discardRest(request.raw, DISCARD_MS);
  void reply.code(fault.status);
  // git shows a text/plain body to its user, line by line.
  if (isGit(request)) await reply.type('text/plain; charset=utf-8').send(`${explain(fault)}\n`);
  else await reply.send(fault.toJSON());
}

/** Work was broken off because nobody waits for its answer any more: no fault of this program. */
function hasLeft(error: FastifyError, reply: FastifyReply): boolean {
  return error.name === 'AbortError' && reply.raw.destroyed;
}

function isGit(request: FastifyRequest): boolean {
  return request.routeOptions?.url === GIT_ROUTE || request.url.startsWith('/git/');
}

/** A body that is read whole, and has to be there by then. A git body is read by whoever handles it, who has limits of his own. */
function withinDeadline(payload: Readable, deadlineMs: number): Readable {
  const body = new PassThrough();
  const timer = setTimeout(() => body.destroy(new TrivetError('body_too_slow', { deadlineMs })), deadlineMs);
  // Not every route reads its body: a GET's is at its end without ever being closed, and nobody listens for its error.
  payload.once('end', () => clearTimeout(timer));
  body.once('close', () => clearTimeout(timer));
  body.on('error', () => {});
  payload.once('error', (error) => body.destroy(error));
  payload.pipe(body);
  return body;
}

function translate(error: FastifyError): TrivetError {
  if ((error as unknown) instanceof TrivetError) return error as unknown as TrivetError;
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new TrivetError('body_too_large', { limit: MAX_JSON_BYTES });
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new TrivetError('wrong_content_type', { expected: 'application/json' });
  if (error.validation !== undefined || (error.statusCode !== undefined && error.statusCode < 500)) return new TrivetError('bad_request', { problem: problemOf(error) });
  return asTrivetError(error);
}

/** What the validator says, and what it leaves out of its text: the values that would do, the property that wouldn't. */
function problemOf(error: FastifyError): string {
  const { allowedValues, additionalProperty } = error.validation?.[0]?.params ?? {};
  if (Array.isArray(allowedValues)) return `${error.message}: ${allowedValues.join(', ')}`;
  return additionalProperty === undefined ? error.message : `${error.message}: ${String(additionalProperty)}`;
}
