import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox';
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { TrivetError } from '@trivet/proto/errors.ts';
import { Id, RepositoryParams, type PackListing } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import { packDirectory, readPackDirectory } from '../git/pack-directory.ts';
import { Pace, paced } from '../serve/pace.ts';
import { bytesPerSecondAsked } from './bytes-per-second.ts';

const READ_BYTES = 512 * 1024;

/** Nothing else of a repository's files can be asked for: no dot, no slash, no other directory. */
const PackFileParams = Type.Object({
  repository: Id, file: Type.String({ pattern: '^pack-[0-9a-f]{40,64}\\.(pack|idx|rev)$' }),
}, { additionalProperties: false });

/** The packs of a replica as they are, for another node that repairs its own. */
export function registerPacks(plain: FastifyInstance, context: ReplicaContext): void {
  const app = plain.withTypeProvider<TypeBoxTypeProvider>();
  const { replicas } = context;

  app.get('/repositories/:repository/packs', { schema: { params: RepositoryParams } }, async (request): Promise<PackListing> => {
    const { repository } = request.params;
    return replicas.use(repository, async ({ gitDir }) => {
      await replicas.look(repository);
      const { packs, loose } = await readPackDirectory(gitDir);
      return { packs, loose };
    });
  });

  app.get('/repositories/:repository/packs/:file', { schema: { params: PackFileParams } }, async (request, reply) => {
    const { repository, file } = request.params;
    const bytesPerSecond = bytesPerSecondAsked(request);
    const handle = await open(join(packDirectory(replicas.gitDir(repository)), file), 'r').catch((error: NodeJS.ErrnoException) => {
      throw new TrivetError(error.code === 'ENOENT' ? 'not_found' : 'disk_failure', { file }, { cause: error });
    });
    try {
      const { size } = await handle.stat();
      const from = firstByte(request.headers.range);
      if (from > 0) {
        if (from >= size) {
          await handle.close();
          return await reply.code(416).header('content-range', `bytes */${size}`).send();
        }
        reply.code(206).header('content-range', `bytes ${from}-${size - 1}/${size}`);
      }
      const stream = handle.createReadStream({ start: from, highWaterMark: READ_BYTES });
      reply.header('content-length', size - from).header('accept-ranges', 'bytes').type('application/octet-stream');
      return await reply.send(bytesPerSecond === undefined ? stream : paced(stream, new Pace(bytesPerSecond)));
    } catch (error) {
      await handle.close();
      throw error;
    }
  });
}

/** Of `Range: bytes=N-` the N. Any other form is answered with the whole file, as RFC 9110 (section 14.2) allows. */
function firstByte(range: string | undefined): number {
  const from = Number(/^bytes=(\d{1,15})-$/.exec(range ?? '')?.[1] ?? 0);
  return from;
}
