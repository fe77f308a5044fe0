import { Readable } from 'node:stream';
import { TrivetError } from '@trivet/proto/errors.ts';
import { startGit, type GitProcess } from '../git/process.ts';
import { answerLsRefs, parseLsRefs } from './ls-refs.ts';
import { protocolVersion } from './protocol-version.ts';
import { packetText, requestPackets, type RequestPacket } from './request-packets.ts';
import { isErrorAnswer, uploadPackFault } from './upload-pack-fault.ts';
import type { ResponseCache } from './response-cache.ts';
import type { Served } from './served.ts';
import type { UploadPackLimiter } from './upload-pack-limiter.ts';

export interface UploadPackRequest {
  served: Served;
  /** The `Git-Protocol` header. */
  gitProtocol: string | undefined;
  /** The whole request, without content encoding; the caller bounds it. */
  body: Buffer;
  /** Kills git when the client leaves. */
  signal: AbortSignal;
  /** Bounds the git processes; what is answered from memory doesn't wait. */
  limiter?: UploadPackLimiter;
  /** Keeps the answers to clones that come again. */
  cache?: ResponseCache;
}

export interface UploadPackResponse {
  /** The response body. It is destroyed with an error, never ended, when git fails after its first byte. */
  stream: Readable;
  /** How it ended, once no process is left. Never rejects. */
  done: Promise<{ ok: boolean; reason?: string }>;
}

/** What may lie in memory between git and the client: enough to keep both busy, small beside any pack. */
const STREAM_BUFFER_BYTES = 512 * 1024;
/** Of a long answer, so much goes out at once, or what came within so many milliseconds. */
const CHUNK_BYTES = 256 * 1024;
const CHUNK_MS = 4;
/** An answer that only says ERR is shorter than this; anything longer holds part of a pack. */
const ERROR_ANSWER_BYTES = 64 * 1024;

/**
 * Answers a POST to git-upload-pack: ls-refs from memory, everything else by git.
 * It resolves when the first byte is there (or the answer is known to be empty), so that until then another replica
 * can be asked instead.
 * @throws TrivetError `bad_pkt_line`, `body_truncated`, `bad_request` or `object_format_mismatch` for what the client
 *   sent; `too_busy` when the waiting line is full; `git_failed` when git failed before its first byte
 */
export async function uploadPack(request: UploadPackRequest): Promise<UploadPackResponse> {
  const packets = requestPackets(request.body);
  const fromMemory = await answerFromMemory(request, packets);
  if (fromMemory !== undefined) return { stream: streamOf(fromMemory), done: Promise.resolve({ ok: true }) };
  const { served, cache } = request;
  const key = cache?.key(served.gitDir, served.refs.digest, request.gitProtocol, request.body, packets);
  return cache === undefined || key === undefined ? answerInTurn(request) : cache.answer(key, () => answerInTurn(request));
}

async function answerInTurn(request: UploadPackRequest): Promise<UploadPackResponse> {
  const { limiter, signal } = request;
  if (limiter === undefined) return answerFromGit(request);
  return new Promise((resolve, reject) => {
    limiter.run(async () => {
      const response = await answerFromGit(request);
      resolve(response);
      await response.done;
    }, signal).catch(reject);
  });
}

/** `undefined` when this is for git to answer. */
async function answerFromMemory(request: UploadPackRequest, packets: RequestPacket[]): Promise<Buffer | undefined> {
  // A client with a large request sends a lone flush first, to learn whether it would be let in; git says nothing.
  if (packets.length === 1 && packets[0] === 'flush') return Buffer.alloc(0);
  if (protocolVersion(request.gitProtocol) !== 2) return undefined;
  const delimiter = packets.findIndex((packet) => typeof packet === 'string');
  const header = packets.slice(0, delimiter);
  if (delimiter === -1) throw new TrivetError('body_truncated', { missing: 'flush' });
  if (header.length === 0) throw new TrivetError('bad_request', { problem: 'no command' });
  if (!asksForLsRefs(header, request.served.objectFormat)) return undefined;
  const hasArguments = packets[delimiter] === 'delimiter';
  const lsRefs = parseLsRefs(packets.slice(hasArguments ? delimiter + 1 : delimiter));
  return lsRefs && await answerLsRefs(request.served, lsRefs);
}

/** Whether these are the command ls-refs once and capabilities that need no thought. */
function asksForLsRefs(header: readonly RequestPacket[], objectFormat: string): boolean {
  const lines = header.map((packet) => (typeof packet === 'string' ? undefined : packetText(packet)));
  const formats = lines.filter((line) => line?.startsWith('object-format='));
  // Without the capability git takes the client for one that only knows SHA-1.
  const format = formats.length === 0 ? 'object-format=sha1' : formats[0];
  return lines.filter((line) => line === 'command=ls-refs').length === 1
    && formats.length <= 1
    && format === `object-format=${objectFormat}`
    && lines.every((line) => line === 'command=ls-refs' || line === format || (line?.startsWith('agent=') ?? false));
}

function streamOf(answer: Buffer): Readable {
  return Readable.from(answer.length === 0 ? [] : [answer], { objectMode: false });
}

/** Resolves at git's first byte, or when it ended well without one. */
async function answerFromGit(request: UploadPackRequest): Promise<UploadPackResponse> {
  const version = protocolVersion(request.gitProtocol);
  const git = startGit(['upload-pack', '--stateless-rpc', '--strict', '.'], {
    gitDir: request.served.gitDir,
    env: version === 0 ? {} : { GIT_PROTOCOL: `version=${version}` },
    signal: request.signal,
  });
  const { stream, done, firstByte } = gitStream(git);
  git.child.stdin.end(request.body);
  if (!await firstByte) {
    const { code, signal, stderr } = await git.done;
    request.signal.throwIfAborted();
    if (code !== 0) throw uploadPackFault({ code, signal, stderr });
  }
  return { stream, done };
}

/**
 * Git's output as a stream that ends only when git ended well. The first bytes are passed on as they come; of a longer
 * answer, what comes within a few milliseconds goes out as one chunk, for git writes some 30 KB at a time and every chunk
 * is read and written four times on its way. Git is not read from while the receiver has enough.
 */
function gitStream(git: GitProcess): UploadPackResponse & { firstByte: Promise<boolean> } {
  const { stdout } = git.child;
  const head: Buffer[] = [];
  let bytes = 0;
  let pending: Buffer[] = [];
  let pendingBytes = 0;
  let timer: NodeJS.Timeout | undefined;
  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    if (pendingBytes === 0 || stream.destroyed) return;
    const chunk = pending.length === 1 ? pending[0]! : Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
    if (!stream.push(chunk)) stdout.pause();
  };
  const { promise: firstByte, resolve: sawFirstByte } = Promise.withResolvers<boolean>();
  const stream = new Readable({
    highWaterMark: STREAM_BUFFER_BYTES,
    read: () => { stdout.resume(); },
    destroy: (error, callback) => {
      git.kill();
      // What nobody will read is thrown away, else git's end is never seen.
      stdout.resume();
      callback(error);
    },
  });
  stdout.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
    if (bytes <= ERROR_ANSWER_BYTES) head.push(chunk);
    else head.length = 0;
    sawFirstByte(true);
    pending.push(chunk);
    pendingBytes += chunk.length;
    if (bytes <= ERROR_ANSWER_BYTES || pendingBytes >= CHUNK_BYTES) flush();
    else timer ??= setTimeout(flush, CHUNK_MS);
  });
  const done = git.done.then(({ code, signal, stderr }) => {
    sawFirstByte(false);
    flush();
    if (stream.destroyed) return { ok: false, reason: 'the client left' };
    const ok = code === 0 || (bytes <= ERROR_ANSWER_BYTES && isErrorAnswer(Buffer.concat(head)));
    if (ok) {
      stream.push(null);
      return { ok };
    }
    // Before the first byte the promise of uploadPack carries the fault, and nobody has the stream.
    if (bytes > 0) stream.destroy(new TrivetError('git_failed', { code, signal, stderr }));
    return { ok, reason: stderr };
  });
  return { stream, done, firstByte };
}
