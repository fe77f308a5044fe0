import type { IncomingMessage } from 'node:http';
import type { FastifyRequest } from 'fastify';
import { createGunzip } from 'node:zlib';
import { chunksOf } from '@trivet/proto/chunks-of.ts';
import { TrivetError } from '@trivet/proto/errors.ts';

export interface BodyLimits {
  /** Bytes after gunzip. */
  maxBytes: number;
  /** The longest pause between two chunks. */
  idleMs: number;
}

/**
 * The body of a git request as chunks: gunzipped when the client said so, never more than the limit, and never waiting
 * longer than `idleMs` for the next chunk. Leaves the request itself alone when it is given up half way, so that an
 * answer can still be sent.
 * @throws TrivetError unsupported_encoding; from the iterator body_too_large, body_too_slow, body_truncated, bad_encoding
 */
export function readBody(request: FastifyRequest, limits: BodyLimits): AsyncGenerator<Buffer> {
  // Names of codings know no case: RFC 9110, section 8.4.1.
  const encoding = request.headers['content-encoding']?.toLowerCase() ?? 'identity';
  if (encoding !== 'identity' && encoding !== 'gzip' && encoding !== 'x-gzip') throw new TrivetError('unsupported_encoding', { encoding });
  const chunks = received(request, limits.idleMs);
  return limited(encoding === 'identity' ? chunks : gunzipped(chunks), limits.maxBytes);
}

/** All of a body that has to be held in memory. */
export async function readWholeBody(request: FastifyRequest, limits: BodyLimits): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of readBody(request, limits)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/**
 * Reads what is left of a body that was refused, for a while: closing the connection at once would reset it, and the
 * client would lose the answer that tells it why. Whoever was reading the body gets no more of it.
 */
export function discardRest(body: IncomingMessage, deadlineMs: number): void {
  // Who was reading, and may have been given up in the middle of a wait, would pause it again.
  body.removeAllListeners('data');
  setImmediate(() => body.resume());
  const timer = setTimeout(() => body.socket.destroy(), deadlineMs);
  body.once('close', () => clearTimeout(timer));
}

async function* received(request: FastifyRequest, idleMs: number): AsyncGenerator<Buffer> {
  const { raw } = request;
  const source = chunksOf(raw);
  try {
    for (;;) {
      const next = await nextWithin(source, idleMs);
      if (next.done) break;
      yield next.value;
    }
  } finally {
    // Not waited for: it comes after a `next` that may never end. It takes the listeners off the request.
    void source.return(undefined).catch(() => {});
  }
  // The connection may end without the stream reporting an error.
  if (!raw.complete) throw new TrivetError('body_truncated');
}

async function nextWithin(source: AsyncIterator<Buffer>, idleMs: number): Promise<IteratorResult<Buffer>> {
  let timer: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<never>((_, reject) => { timer = setTimeout(() => reject(new TrivetError('body_too_slow', { idleMs })), idleMs); });
  try {
    return await Promise.race([source.next(), tooSlow]);
  } catch (error) {
    throw error instanceof TrivetError ? error : new TrivetError('body_truncated', {}, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

async function* gunzipped(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  const gunzip = createGunzip();
  let failure: unknown;
  const feed = async () => {
    try {
      for await (const chunk of chunks) {
        if (!gunzip.write(chunk)) await new Promise((resolve) => { gunzip.once('drain', resolve); gunzip.once('close', resolve); });
        if (gunzip.destroyed) return;
      }
      gunzip.end();
    } catch (error) {
      failure = error;
      gunzip.destroy(error as Error);
    }
  };
  void feed();
  try {
    for await (const chunk of gunzip) yield chunk as Buffer;
  } catch (error) {
    throw failure ?? new TrivetError('bad_encoding', { reason: (error as Error).message }, { cause: error });
  } finally {
    gunzip.destroy();
  }
}

async function* limited(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > maxBytes) throw new TrivetError('body_too_large', { limit: maxBytes });
    yield chunk;
  }
}
