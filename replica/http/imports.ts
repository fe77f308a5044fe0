import type { ServerResponse } from 'node:http';
import { pipeline } from 'node:stream/promises';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { TrivetError } from '@trivet/proto/errors.ts';
import { Id, ImportRequest, type ImportProgress } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import type { Delivery } from '../imports/imports.ts';
import { requestSignal } from './request-signal.ts';

const Params = Type.Object({ import: Id }, { additionalProperties: false });

/**
 * An import: the answer begins when everything was fetched, with an ImportHeader in a frame as a vote's, and goes on with
 * the pack. How far it is.
 */
export function registerImports(plain: FastifyInstance, { imports, log }: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();

  app.post('/imports/:import', { schema: { params: Params, body: ImportRequest } }, async (request, reply) => {
    await imports.run(request.params.import, request.body, requestSignal(reply), async (delivery) => {
      reply.hijack();
      await send(delivery, reply.raw).catch((error: unknown) => {
        log.info({ import: request.params.import, err: error }, 'an import was broken off while it was handed over');
      });
    });
    return reply;
  });

  app.get('/imports/:import', { schema: { params: Params } }, async (request): Promise<ImportProgress> => {
    const progress = imports.progressOf(request.params.import);
    if (progress === undefined) throw new TrivetError('not_found', { problem: 'no such import runs' });
    return progress;
  });
}

/** Half a pack never ends cleanly. */
async function send({ header, pack, packed }: Delivery, response: ServerResponse): Promise<void> {
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length);
  response.writeHead(200, { 'content-type': 'application/x-trivet-import' });
  response.write(Buffer.concat([length, json]));
  if (pack === undefined) {
    response.end();
    return;
  }
  await pipeline(pack, response, { end: false });
  if (await packed) response.end();
  else response.destroy();
}
