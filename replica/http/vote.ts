import type { Readable } from 'node:stream';
import type { FastifyInstance } from 'fastify';
import PQueue from 'p-queue';
import { Compile } from 'typebox/compile';
import { ByteReader } from '@trivet/proto/byte-reader.ts';
import { chunksOf } from '@trivet/proto/chunks-of.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isId } from '@trivet/proto/id.ts';
import { VoteHeader, type VoteAnswer } from '@trivet/proto/messages.ts';
import type { ReplicaContext } from '../context.ts';
import { requestSignal } from './request-signal.ts';

const MAX_HEADER_BYTES = 64 * 1024 * 1024;
const header = Compile(VoteHeader);

/** POST /repositories/:repository/vote: phase 1. The body is a VoteHeader in a frame, then the pack as it arrives. */
export function registerVote(app: FastifyInstance, context: ReplicaContext): void {
  const votes = new PQueue({ concurrency: context.config.maxConcurrentVotes });
  app.addContentTypeParser('application/x-trivet-vote', (_request, payload, done) => done(null, payload));
  app.post<{ Params: { repository: string } }>('/repositories/:repository/vote', async (request, reply): Promise<VoteAnswer> => {
    const { repository } = request.params;
    if (!isId(repository)) throw new TrivetError('bad_request', { problem: 'not a repository id' });
    if (request.body === undefined) throw new TrivetError('bad_request', { problem: 'not a vote' });
    const signal = requestSignal(reply);
    // The controller bounds pushes itself; what comes on top of this line is a fault, not load.
    if (votes.size > context.config.maxConcurrentVotes) throw new TrivetError('too_busy', { waiting: votes.size });
    const end = context.metrics.phase.startTimer({ phase: 'vote' });
    try {
      const answer = await votes.add(() => context.replicas.use(repository, async (replica) => {
        const reader = new ByteReader(chunksOf(request.body as Readable));
        const message = await readHeader(reader);
        return context.participant.vote(replica, message, message.pack ? reader.rest() : undefined, signal);
      }));
      end({ outcome: 'ok' });
      return answer;
    } catch (error) {
      end({ outcome: 'failed' });
      throw error;
    } finally {
      dropRest(request.body as Readable);
    }
  });
}

/**
 * Lets the rest of a body flow away that was answered before its end, as a damaged pack is. Left where it is, it would stand
 * in front of the next request on the same connection, which would wait in vain for its answer.
 */
function dropRest(body: Readable): void {
  body.removeAllListeners('data').resume();
}

async function readHeader(reader: ByteReader): Promise<VoteHeader> {
  const length = (await reader.read(4)).readUInt32BE();
  if (length > MAX_HEADER_BYTES) throw new TrivetError('bad_request', { problem: 'the header is too long', length });
  const message = parseJson((await reader.read(length)).toString('utf8'));
  if (!header.Check(message)) throw new TrivetError('bad_request', { problem: 'not a vote header' });
  return message;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new TrivetError('bad_request', { problem: (error as Error).message }, { cause: error });
  }
}
