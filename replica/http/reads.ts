import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isId } from '@trivet/proto/id.ts';
import { GENERATION_HEADER } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import type { Replica } from '../repository/replica.ts';
import { advertiseReceivePack, advertiseUploadPack } from '../serve/advertisement.ts';
import { Pace, paced } from '../serve/pace.ts';
import type { Served } from '../serve/served.ts';
import { uploadPack } from '../serve/upload-pack.ts';
import { makePeeler } from '../repository/peel.ts';
import { bytesPerSecondAsked } from './bytes-per-second.ts';
import { requestSignal } from './request-signal.ts';

/** Larger than any negotiation git produces; the controller has its own, smaller limit. */
const MAX_REQUEST_BYTES = 64 * 1024 * 1024;
const gunzipWhole = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);

/**
 * What stock git could ask of this node directly: `info/refs` and `git-upload-pack` under `/repositories/<id>`.
 * A request names the generation that SQL holds; a replica that is behind waits for the commit in flight, then refuses.
 */
export function registerReads(app: FastifyInstance, context: ReplicaContext): void {
  app.get<{ Params: { repository: string }; Querystring: { service?: string } }>('/repositories/:repository/info/refs', async (request, reply) => {
    const { service } = request.query;
    const body = await counted(context, 'info-refs', () => withReplica(request, context, async (replica) => {
      const served = serve(replica, context);
      if (service === 'git-receive-pack') return advertiseReceivePack(served);
      if (service === 'git-upload-pack') return advertiseUploadPack(served, gitProtocol(request));
      throw new TrivetError(service === undefined ? 'dumb_protocol' : 'unknown_service', { service });
    }));
    await reply.type(`application/x-${service}-advertisement`).send(body);
  });

  app.addContentTypeParser('application/x-git-upload-pack-request', { parseAs: 'buffer', bodyLimit: MAX_REQUEST_BYTES },
    async (request: FastifyRequest, body: Buffer) => decoded(request.headers['content-encoding'] ?? 'identity', body));
  app.post<{ Params: { repository: string } }>('/repositories/:repository/git-upload-pack', async (request, reply) => {
    const signal = requestSignal(reply);
    await counted(context, 'upload-pack', () => withReplica(request, context, async (replica) => {
      const bytesPerSecond = bytesPerSecondAsked(request);
      const { stream, done } = await uploadPack({
        served: serve(replica, context), gitProtocol: gitProtocol(request), body: request.body as Buffer, signal, limiter: context.uploadPacks, cache: context.responses,
      });
      await reply.type('application/x-git-upload-pack-result').send(bytesPerSecond === undefined ? stream : paced(stream, new Pace(bytesPerSecond)));
      const { ok, reason } = await done;
      if (!ok) request.log.warn({ repository: replica.id, reason }, 'upload-pack failed');
    }));
    return reply;
  });
}

/** git gzips a request of more than 1,024 bytes. A controller has unpacked it already; a git that asks this node has not. */
async function decoded(encoding: string, body: Buffer): Promise<Buffer> {
  if (encoding === 'identity') return body;
  if (encoding !== 'gzip' && encoding !== 'x-gzip') throw new TrivetError('unsupported_encoding', { encoding });
  try {
    return await gunzipWhole(body, { maxOutputLength: MAX_REQUEST_BYTES });
  } catch (error) {
    const tooLarge = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE';
    throw tooLarge ? new TrivetError('body_too_large', { limit: MAX_REQUEST_BYTES }) : new TrivetError('bad_encoding', {}, { cause: error });
  }
}

/** The generation a read must not fall behind; 0 when the request names none. */
export function generationAsked(request: FastifyRequest): number {
  const text = request.headers[GENERATION_HEADER];
  if (text === undefined) return 0;
  const generation = Number(text);
  if (!Number.isSafeInteger(generation) || generation < 0) throw new TrivetError('bad_request', { header: GENERATION_HEADER });
  return generation;
}

async function withReplica<T>(
  request: FastifyRequest<{ Params: { repository: string } }>, context: ReplicaContext, action: (replica: Replica) => Promise<T>,
): Promise<T> {
  const { repository } = request.params;
  if (!isId(repository)) throw new TrivetError('bad_request', { problem: 'not a repository id' });
  return context.replicas.use(repository, async (replica) => {
    await replica.reach(generationAsked(request), context.config.catchUpMs);
    return action(replica);
  });
}

function serve(replica: Replica, context: ReplicaContext): Served {
  return { gitDir: replica.gitDir, objectFormat: replica.objectFormat, refs: replica.refs, peel: makePeeler(replica, context.readers) };
}

function gitProtocol(request: FastifyRequest): string | undefined {
  const value = request.headers['git-protocol'];
  // Passed to git in its environment: nothing but the protocol's own characters.
  return typeof value === 'string' && /^[a-z0-9=:.-]{1,200}$/.test(value) ? value : undefined;
}

async function counted<T>(context: ReplicaContext, service: 'info-refs' | 'upload-pack', action: () => Promise<T>): Promise<T> {
  try {
    const result = await action();
    context.metrics.reads.inc({ service, outcome: 'ok' });
    return result;
  } catch (error) {
    context.metrics.reads.inc({ service, outcome: 'failed' });
    throw error;
  }
}
