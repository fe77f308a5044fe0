import type { FastifyReply, FastifyRequest } from 'fastify';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { ControllerContext } from '../context.ts';
import { gitProtocol, noCache, relay } from './git-answer.ts';
import { servedRoute } from './named-repository.ts';

const SERVICES = ['git-upload-pack', 'git-receive-pack'];

/** GET /git/<repository>/info/refs?service=…: the first request of every fetch and push. */
export async function infoRefs(context: ControllerContext, request: FastifyRequest, reply: FastifyReply, name: string): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') throw new TrivetError('method_not_allowed', { allowed: 'GET, HEAD' });
  const { service } = request.query as { service?: unknown };
  if (service === undefined) throw new TrivetError('dumb_protocol');
  if (typeof service !== 'string' || !SERVICES.includes(service)) throw new TrivetError('unknown_service', { service });
  const route = await servedRoute(context.repositories, name);
  // Better told now than after the pack was sent.
  if (service === 'git-receive-pack') context.coordinator.participants(route);
  noCache(reply);
  if (request.method === 'HEAD') {
    await reply.type(`application/x-${service}-advertisement`).send();
    return;
  }
  await relay(context, request, reply, {
    route, path: `/info/refs?service=${service}`, gitProtocol: gitProtocol(request), type: undefined,
  });
}
