import { timingSafeEqual } from 'node:crypto';
import fastify, { LogController, type FastifyInstance } from 'fastify';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import { REQUEST_ID_HEADER } from '@trivet/proto/messages.ts';
import { expectProtocol, PROTOCOL_HEADER } from '@trivet/proto/protocol-version.ts';
import type { ReplicaContext } from '../context.ts';
import { registerHealth } from './health.ts';
import { registerImports } from './imports.ts';
import { registerPacks } from './packs.ts';
import { registerLifeline } from './lifeline.ts';
import { registerReads } from './reads.ts';
import { registerRepairs } from './repairs.ts';
import { registerReplicas } from './replicas.ts';
import { registerTransactions } from './transactions.ts';
import { registerVote } from './vote.ts';

export type App = FastifyInstance;

/** A JSON message with 10,000 commands is a few megabytes. */
const MAX_JSON_BYTES = 64 * 1024 * 1024;

/** The node's HTTP service. Everything but health and metrics wants the cluster's token, and a finished handshake. */
export function makeServer(context: ReplicaContext): App {
  const app = fastify({
    loggerInstance: context.log,
    logController: new LogController({ disableRequestLogging: true, requestIdLogLabel: 'requestId' }),
    bodyLimit: MAX_JSON_BYTES,
    // One id for a client's request, in the logs of every process it touches.
    requestIdHeader: REQUEST_ID_HEADER,
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  }).withTypeProvider<TypeBoxTypeProvider>();
  const expected = Buffer.from(`Bearer ${context.config.token}`);
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.public === true) return;
    const given = Buffer.from(request.headers.authorization ?? '');
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) throw new TrivetError('unauthorized');
    expectProtocol(request.headers[PROTOCOL_HEADER]);
    const { early, during } = request.routeOptions.config;
    if (!context.ready && early !== true) throw new TrivetError('node_starting', { node: context.config.node });
    if (context.stopping === 'left' && during !== 'always') throw new TrivetError('shutting_down', { node: context.config.node });
    if (context.stopping !== false && during === 'life') throw new TrivetError('shutting_down', { node: context.config.node });
  });
  app.setErrorHandler(async (error: Error & { validation?: unknown; statusCode?: number; code?: string }, request, reply) => {
    const expectedFault = error.validation !== undefined || (error.statusCode !== undefined && error.statusCode < 500)
      ? new TrivetError('bad_request', { problem: error.message })
      : asTrivetError(error);
    const fault = error instanceof TrivetError ? error : expectedFault;
    // Work that is broken off because nobody waits for its answer any more is no fault of this program.
    if (reply.raw.destroyed && (error.name === 'AbortError' || error.code === 'ERR_STREAM_PREMATURE_CLOSE')) request.log.info({ url: request.url }, 'the client left');
    else if (fault.code === 'internal') request.log.error({ err: error }, 'unexpected error');
    else request.log.info({ code: fault.code, fields: fault.fields, url: request.url }, 'refused');
    await reply.code(fault.status).send(fault.toJSON());
  });
  app.setNotFoundHandler(async (_request, reply) => reply.code(404).send(new TrivetError('not_found').toJSON()));
  registerHealth(app, context);
  registerReplicas(app, context);
  registerPacks(app, context);
  registerRepairs(app, context);
  registerImports(app, context);
  registerVote(app, context);
  registerTransactions(app, context);
  registerLifeline(app, context);
  registerReads(app, context);
  return app as unknown as App;
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Answered without the cluster's token. */
    public?: boolean;
    /** Answered before the restart handshake is over. */
    early?: boolean;
    /**
     * How much of a stop it is answered in: `always`, for what has begun must come to its end; by default while the node
     * is leaving; `life`, which may take hours: not once it was told to stop.
     */
    during?: 'always' | 'life';
  }
}
