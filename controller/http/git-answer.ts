import type { FastifyReply, FastifyRequest } from 'fastify';
import { pipeline } from 'node:stream/promises';
import type { ControllerContext } from '../context.ts';
import type { ReadRequest } from '../routing/reader.ts';

/** gitprotocol-http(5): every answer is told apart from what a cache might hold. */
export function noCache(reply: FastifyReply): void {
  reply.headers({ expires: 'Fri, 01 Jan 1980 00:00:00 GMT', pragma: 'no-cache', 'cache-control': 'no-cache, max-age=0, must-revalidate' });
}

/** The Git-Protocol header, if it is one that can be passed on. */
export function gitProtocol(request: FastifyRequest): string | undefined {
  const value = request.headers['git-protocol'];
  return typeof value === 'string' && /^[a-z0-9=:.-]{1,200}$/.test(value) ? value : undefined;
}

/** Fires when the client goes away before it has its whole answer. */
export function clientSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => { if (!reply.raw.writableFinished) controller.abort(); });
  return controller.signal;
}

/**
 * Answers from a replica, byte for byte. Before the first byte a failing node is replaced by the next; afterwards a
 * failure breaks the client's connection, so that half an answer can't be taken for a whole one.
 */
export async function relay(
  context: ControllerContext, request: FastifyRequest, reply: FastifyReply, read: Omit<ReadRequest, 'requestId' | 'signal'>,
): Promise<void> {
  const answer = await context.reader.read({ ...read, requestId: request.id, signal: clientSignal(reply) });
  reply.hijack();
  const headers = reply.getHeaders();
  for (const name of ['content-type', 'content-length']) {
    const value = answer.headers[name];
    if (value !== undefined) headers[name] = value;
  }
  reply.raw.writeHead(200, headers as Record<string, string>);
  // pipeline destroys the client's connection when the node's answer breaks off.
  await pipeline(answer.body, reply.raw).catch((error: unknown) => {
    request.log.warn({ err: error, url: request.url }, 'an answer was broken off');
  });
}
