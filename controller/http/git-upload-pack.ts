import type { FastifyReply, FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ControllerContext } from '../context.ts';
import { readWholeBody } from './body.ts';
import { gitProtocol, noCache, relay } from './git-answer.ts';
import { servedRoute } from './named-repository.ts';

export const UPLOAD_PACK_REQUEST = 'application/x-git-upload-pack-request';

/** POST /git/<repository>/git-upload-pack: fetches and clones, ls-refs included. */
export async function uploadPack(context: ControllerContext, request: FastifyRequest, reply: FastifyReply, name: string): Promise<void> {
  if (request.method !== 'POST') throw new TrivetError('method_not_allowed', { allowed: 'POST' });
  if (request.headers['content-type'] !== UPLOAD_PACK_REQUEST) throw new TrivetError('wrong_content_type', { expected: UPLOAD_PACK_REQUEST });
  const { limits, deadlines } = context.config;
  // Whole, so that another replica can be asked the same. A negotiation is small.
  const body = await readWholeBody(request, { maxBytes: limits.maxFetchRequestBytes, idleMs: deadlines.bodyIdleMs });
  const route = await servedRoute(context.repositories, name);
  noCache(reply);
  await relay(context, request, reply, {
    route, path: '/git-upload-pack', gitProtocol: gitProtocol(request), body, type: UPLOAD_PACK_REQUEST,
  });
}
