import type { FastifyReply, FastifyRequest } from 'fastify';
import { ByteReader } from '@trivet/proto/byte-reader.ts';
import { asTrivetError, TrivetError } from '@trivet/proto/errors.ts';
import { BAND_FATAL, BAND_PROGRESS, encodeSideBand, FLUSH } from '@trivet/proto/pkt-line.ts';
import { encodeReport, expectsPack, readPushHead, type PushHead } from '@trivet/proto/receive-pack.ts';
import { OK } from '@trivet/proto/vote.ts';
import type { ControllerContext } from '../context.ts';
import type { PushOutcome } from '../metrics.ts';
import type { PushResult } from '../transaction/coordinator.ts';
import { readBody } from './body.ts';
import { explain } from './explain.ts';
import { clientSignal, noCache } from './git-answer.ts';
import { servedRoute } from './named-repository.ts';

export const RECEIVE_PACK_REQUEST = 'application/x-git-receive-pack-request';
const RECEIVE_PACK_RESULT = 'application/x-git-receive-pack-result';
/** A client in front of a proxy hears from us at least so often. */
const KEEP_ALIVE_MS = 5_000;
/** What befell a push that was sound when it came, such as a repository that was deleted meanwhile. */
const MEANWHILE: ReadonlySet<string> = new Set(['aborted', 'repository_not_found']);

/** POST /git/<repository>/git-receive-pack: a push. The transaction itself is the coordinator's. */
export async function receivePack(context: ControllerContext, request: FastifyRequest, reply: FastifyReply, name: string): Promise<void> {
  if (request.method !== 'POST') throw new TrivetError('method_not_allowed', { allowed: 'POST' });
  if (request.headers['content-type'] !== RECEIVE_PACK_REQUEST) throw new TrivetError('wrong_content_type', { expected: RECEIVE_PACK_REQUEST });
  const startedAt = performance.now();
  const { limits, deadlines } = context.config;
  const route = await servedRoute(context.repositories, name);
  // Without a quorum the pack isn't even read.
  context.coordinator.participants(route);
  const signal = clientSignal(reply);
  const reader = new ByteReader(readBody(request, { maxBytes: limits.maxPushBytes, idleMs: deadlines.bodyIdleMs }));
  const head = await readPushHead(reader, route.repository.objectFormat, limits);
  noCache(reply);
  void reply.type(RECEIVE_PACK_RESULT);
  if (head.commands.length === 0) {
    if (!await reader.atEnd()) throw new TrivetError('trailing_bytes');
    await reply.send(Buffer.alloc(0));
    return;
  }
  if (!expectsPack(head.commands) && !await reader.atEnd()) throw new TrivetError('trailing_bytes');
  const told = (outcome: PushOutcome, copies: number, fields: Record<string, unknown>) => (
    context.events.pushed(name, outcome, performance.now() - startedAt, copies, { requestId: request.id, refs: head.commands.length, ...fields }));
  const progress = new Progress(reply, head);
  try {
    const result = await context.coordinator.push(route, head, progress.watch(reader.rest()), signal);
    told(outcomeOf(result), result.copies, result.unpack === 'ok' ? {} : { unpack: result.unpack });
    await progress.finish(encodeReport(head.capabilities, result.unpack, head.commands, result.verdicts), summary(result));
  } catch (error) {
    const fault = asTrivetError(error);
    const outcome = signal.aborted ? 'client_gone' : fault.code === 'outcome_unknown' ? 'unknown' : 'failed';
    told(outcome, 0, { code: signal.aborted ? 'client_gone' : fault.code, fields: fault.fields });
    // What is thrown because the client left is no fault of this program.
    if (fault.code === 'internal' && error !== signal.reason) request.log.error({ err: error }, 'a push failed unexpectedly');
    if (signal.aborted) reply.hijack();
    else if (!await progress.fail(fault)) throw fault;
  } finally {
    progress.stop();
  }
  if (!request.raw.complete) await readToTheEnd(reader, request);
}

/** A pack may be refused before it has all come. git reads the answer only when it has sent everything. */
async function readToTheEnd(reader: ByteReader, request: FastifyRequest): Promise<void> {
  try {
    for await (const _ of reader.rest());
  } catch {
    request.raw.socket.destroy();
  }
}

/**
 * What the client hears while it waits. The answer begins only after the whole body has come (clients read late), and
 * then says what goes on, unless the client is quiet or has no side-band.
 */
class Progress {
  readonly #reply: FastifyReply;
  readonly #head: PushHead;
  readonly #sideBand: boolean;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(reply: FastifyReply, head: PushHead) {
    this.#reply = reply;
    this.#head = head;
    this.#sideBand = head.capabilities.has('side-band-64k');
  }

  /** Passes the pack on, and begins to talk once it has come and the answer isn't there soon. */
  async *watch(pack: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    yield* pack;
    // Replicas that refuse a pack early have answered before it has all come.
    if (!this.#sideBand || this.#stopped) return;
    let first = true;
    this.#timer = setInterval(() => {
      const quiet = this.#head.capabilities.has('quiet');
      this.#begin();
      // An empty line keeps proxies from giving up and shows nothing.
      this.#reply.raw.write(encodeSideBand(BAND_PROGRESS, first && !quiet ? 'checking objects on the replicas\n' : ''));
      first = false;
    }, KEEP_ALIVE_MS);
  }

  async finish(report: Buffer, text: string): Promise<void> {
    this.stop();
    const quiet = this.#head.capabilities.has('quiet');
    const spoken = this.#sideBand && !quiet && text !== '' ? Buffer.concat([encodeSideBand(BAND_PROGRESS, text), report]) : report;
    if (!this.#reply.raw.headersSent) {
      await this.#reply.send(spoken);
      return;
    }
    this.#reply.raw.end(spoken);
  }

  /** @returns false when the failure is to be told by an HTTP status, for nothing was sent yet */
  async fail(fault: TrivetError): Promise<boolean> {
    this.stop();
    // git shows its user what comes on this band, and of an HTTP error only the number. What was wrong with the request
    // itself stays an HTTP error. An unknown outcome never is one: no status may say that the push surely failed.
    const told = this.#reply.raw.headersSent || fault.code === 'outcome_unknown' || (this.#sideBand && (fault.status >= 500 || MEANWHILE.has(fault.code)));
    if (!told) return false;
    this.#begin();
    this.#reply.raw.end(this.#sideBand ? Buffer.concat([encodeSideBand(BAND_FATAL, `${explain(fault)}\n`), FLUSH]) : undefined);
    return true;
  }

  stop(): void {
    this.#stopped = true;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #begin(): void {
    if (this.#reply.raw.headersSent) return;
    this.#reply.hijack();
    this.#reply.raw.writeHead(200, this.#reply.getHeaders() as Record<string, string>);
  }
}

function outcomeOf(result: PushResult): PushOutcome {
  const accepted = result.verdicts.filter((verdict) => verdict === OK).length;
  if (accepted === 0) return 'rejected';
  return accepted === result.verdicts.length ? 'committed' : 'partly';
}

function summary(result: PushResult): string {
  return result.copies > 0 ? `stored on ${result.copies} replicas\n` : '';
}
