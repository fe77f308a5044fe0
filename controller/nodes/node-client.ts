import type { Readable } from 'node:stream';
import { Agent, request, type Dispatcher } from 'undici';
import type { TSchema, Static } from 'typebox';
import Type from 'typebox';
import { Compile, type Validator } from 'typebox/compile';
import { ByteReader } from '@trivet/proto/byte-reader.ts';
import { chunksOf } from '@trivet/proto/chunks-of.ts';
import { ERRORS, TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import { PROTOCOL_HEADERS } from '@trivet/proto/protocol-version.ts';
import {
  GENERATION_HEADER, ImportHeader, ImportProgress, NodeStatus, PrepareAnswer, PromiseListing, RefsSnapshot, RepairAnswer, RepairProgress, REQUEST_ID_HEADER,
  ReplicaListing, ReplicaPosition, ReplicaRemoval, VerifyAnswer, VoteAnswer,
  type AbortRequest, type AdoptRequest, type CommitRequest, type CreateReplicaRequest, type ImportRequest, type PrepareRequest, type RepairRequest,
} from '@trivet/proto/messages.ts';

/** Connections to one node at once; more requests than that wait for one to come free. */
const MAX_CONNECTIONS = 256;
/** Opening a lifeline costs a node nothing but its attention. */
const LIFELINE_DEADLINE_MS = 1_000;
/** A round of a repair or a full verification of a large repository takes its time. */
const LONG_DEADLINE_MS = 6 * 3_600_000;
const SMALL_DEADLINE_MS = 10_000;
/** A list of 100,000 replicas, or of as many refs. */
const LIST_DEADLINE_MS = 60_000;

const voteAnswer = Compile(VoteAnswer);
const prepareAnswer = Compile(PrepareAnswer);
const position = Compile(ReplicaPosition);
const nodeStatus = Compile(NodeStatus);
const repairAnswer = Compile(RepairAnswer);
const repairProgress = Compile(RepairProgress);
const verifyAnswer = Compile(VerifyAnswer);
const replicaRemoval = Compile(ReplicaRemoval);
const replicaListing = Compile(ReplicaListing);
const promiseListing = Compile(PromiseListing);
const refsSnapshot = Compile(RefsSnapshot);
const importHeader = Compile(ImportHeader);
const importProgress = Compile(ImportProgress);
const nothing = Compile(Type.Object({}));

/** The agent all clients of a controller share: keeps connections to every node open. */
export function makeNodeAgent(): Agent {
  return new Agent({ connections: MAX_CONNECTIONS, pipelining: 1, keepAliveTimeout: 60_000, connect: { timeout: 2_000 } });
}

/** What a node has fetched for an import. */
export interface NodeImport {
  header: ImportHeader;
  /** To be read once; throws when it breaks off. */
  pack: AsyncIterable<Buffer>;
  /** Nobody wants the rest. */
  close(): void;
}

/** A read that a node has begun to answer. */
export interface NodeRead {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Readable;
}

/**
 * Everything a controller asks of one node. A node's refusal comes back as the TrivetError it sent; a node that can't
 * be reached is `node_unreachable`, one that doesn't answer in time `phase_timeout`.
 */
export class NodeClient {
  readonly node: string;
  readonly url: string;
  readonly #agent: Agent;
  readonly #statusDeadlineMs: number;
  readonly #headers: Readonly<Record<string, string>>;

  /** @param statusDeadlineMs how long it may leave a heartbeat unanswered */
  constructor(node: string, url: string, token: string, agent: Agent, statusDeadlineMs: number) {
    this.node = node;
    this.url = url;
    this.#agent = agent;
    this.#statusDeadlineMs = statusDeadlineMs;
    this.#headers = { ...PROTOCOL_HEADERS, authorization: `Bearer ${token}` };
  }

  /** @param body the framed header and the pack */
  vote(repository: string, body: Buffer | AsyncIterable<Buffer>, deadlineMs: number, signal: AbortSignal): Promise<VoteAnswer> {
    return this.#call('POST', `/repositories/${repository}/vote`, voteAnswer, { body, type: 'application/x-trivet-vote', deadlineMs, signal });
  }

  prepare(repository: string, message: PrepareRequest, deadlineMs: number): Promise<PrepareAnswer> {
    return this.#call('POST', `/repositories/${repository}/prepare`, prepareAnswer, { json: message, deadlineMs });
  }

  commit(repository: string, message: CommitRequest, deadlineMs: number): Promise<ReplicaPosition> {
    return this.#call('POST', `/repositories/${repository}/commit`, position, { json: message, deadlineMs });
  }

  async abort(repository: string, message: AbortRequest): Promise<void> {
    await this.#call('POST', `/repositories/${repository}/abort`, nothing, { json: message, deadlineMs: SMALL_DEADLINE_MS });
  }

  createReplica(repository: string, message: CreateReplicaRequest): Promise<ReplicaPosition> {
    return this.#call('PUT', `/repositories/${repository}`, position, { json: message, deadlineMs: SMALL_DEADLINE_MS });
  }

  /**
   * @param options.ifEmpty only if it holds nothing: no ref, no object, no vote
   * @returns whether it is gone
   */
  async removeReplica(repository: string, { ifEmpty = false } = {}): Promise<boolean> {
    const path = `/repositories/${repository}${ifEmpty ? '?ifEmpty=true' : ''}`;
    return (await this.#call('DELETE', path, replicaRemoval, { deadlineMs: LIST_DEADLINE_MS })).removed;
  }

  /** Has a repository fetched from elsewhere. Resolves when it is there as a whole; the node keeps it until the pack was read. */
  async import(id: string, message: ImportRequest, signal: AbortSignal): Promise<NodeImport> {
    const response = await this.#send({
      method: 'POST', path: `/imports/${id}`, headers: { ...this.#headers, 'content-type': 'application/json' }, body: JSON.stringify(message),
      headersTimeout: LONG_DEADLINE_MS, bodyTimeout: LONG_DEADLINE_MS, signal, highWaterMark: 1024 * 1024,
    });
    if (response.statusCode !== 200) throw await refusal(response, this.node);
    const { body } = response;
    const reader = new ByteReader(chunksOf(body));
    try {
      const header: unknown = JSON.parse((await reader.read((await reader.read(4)).readUInt32BE())).toString('utf8'));
      if (!importHeader.Check(header)) throw new TrivetError('internal', { node: this.node, problem: 'unexpected answer' });
      return { header, pack: this.#named(reader.rest(), signal), close: () => { body.on('error', () => {}).destroy(); } };
    } catch (error) {
      body.on('error', () => {}).destroy();
      throw error instanceof TrivetError && error.code === 'internal' ? error : this.#unreachable(error, signal);
    }
  }

  /** Throws not_found when it doesn't run any more. */
  importProgress(id: string): Promise<ImportProgress> {
    return this.#call('GET', `/imports/${id}`, importProgress, { deadlineMs: SMALL_DEADLINE_MS });
  }

  /** One round of a repair. */
  repair(repository: string, message: RepairRequest, signal: AbortSignal): Promise<RepairAnswer> {
    return this.#call('POST', `/repositories/${repository}/repair`, repairAnswer, { json: message, deadlineMs: LONG_DEADLINE_MS, signal });
  }

  /** Throws not_found when no round runs. */
  repairProgress(repository: string): Promise<RepairProgress> {
    return this.#call('GET', `/repositories/${repository}/repair`, repairProgress, { deadlineMs: SMALL_DEADLINE_MS });
  }

  /** The replica was admitted: what this job's repair has set aside may go; without a job, what all have. */
  async discardRepaired(repository: string, job?: string): Promise<void> {
    await this.#call('DELETE', `/repositories/${repository}/repair${job === undefined ? '' : `?job=${job}`}`, nothing, { deadlineMs: SMALL_DEADLINE_MS });
  }

  /** Throws replica_missing, refs_unreadable. */
  verify(repository: string, full: boolean, signal?: AbortSignal): Promise<VerifyAnswer> {
    return this.#call('POST', `/repositories/${repository}/verify`, verifyAnswer, {
      json: { full }, deadlineMs: full ? LONG_DEADLINE_MS : LIST_DEADLINE_MS, signal,
    });
  }

  /** Asks for maintenance of a replica, which the node does when it can. Throws replica_missing, too_busy. */
  async maintain(repository: string): Promise<void> {
    await this.#call('POST', `/repositories/${repository}/maintenance`, nothing, { deadlineMs: SMALL_DEADLINE_MS });
  }

  async replicas(): Promise<string[]> {
    return (await this.#call('GET', '/repositories', replicaListing, { deadlineMs: LIST_DEADLINE_MS })).replicas;
  }

  async promises(): Promise<PromiseListing['promises']> {
    return (await this.#call('GET', '/promises', promiseListing, { deadlineMs: SMALL_DEADLINE_MS })).promises;
  }

  refs(repository: string): Promise<RefsSnapshot> {
    return this.#call('GET', `/repositories/${repository}/refs`, refsSnapshot, { deadlineMs: LIST_DEADLINE_MS });
  }

  /** Gives the refs that a replica has a higher generation: for accept-data-loss alone. */
  adopt(repository: string, message: AdoptRequest): Promise<ReplicaPosition> {
    return this.#call('POST', `/repositories/${repository}/adopt`, position, { json: message, deadlineMs: SMALL_DEADLINE_MS });
  }

  /**
   * An open request that lasts as long as this process and the node's.
   * @param controller names this process
   * @returns when it has ended, whoever ended it
   */
  async lifeline(controller: string, signal: AbortSignal): Promise<void> {
    const response = await this.#send({
      method: 'GET', path: `/lifeline?controller=${controller}`, headers: this.#headers,
      headersTimeout: LIFELINE_DEADLINE_MS, bodyTimeout: 0, signal,
    });
    if (response.statusCode !== 200) throw await refusal(response, this.node);
    await response.body.dump().catch(() => {});
  }

  status(): Promise<NodeStatus> {
    return this.#call('GET', '/status', nodeStatus, { deadlineMs: this.#statusDeadlineMs });
  }

  /**
   * Begins a read. Resolves when the node has sent its headers and they say success; the body is still to come.
   * @param generation below which the node must not answer
   */
  async read(input: {
    path: string; generation: number; gitProtocol: string | undefined; body?: Buffer; type?: string;
    requestId: string; deadlineMs: number; signal: AbortSignal;
  }): Promise<NodeRead> {
    const headers: Record<string, string> = {
      ...this.#headers, [GENERATION_HEADER]: String(input.generation), [REQUEST_ID_HEADER]: input.requestId,
    };
    if (input.gitProtocol !== undefined) headers['git-protocol'] = input.gitProtocol;
    if (input.type !== undefined) headers['content-type'] = input.type;
    const response = await this.#send({
      method: input.body === undefined ? 'GET' : 'POST', path: input.path, headers, body: input.body ?? null,
      // Only the beginning of the answer has a deadline: a clone may pause for as long as its client wants.
      headersTimeout: input.deadlineMs, bodyTimeout: 0, signal: input.signal, highWaterMark: 1024 * 1024,
    });
    if (response.statusCode !== 200) throw await refusal(response, this.node);
    return { status: response.statusCode, headers: response.headers, body: response.body };
  }

  async #call<S extends TSchema>(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, validator: Validator<{}, S>, options: {
    json?: object; body?: Buffer | AsyncIterable<Buffer>; type?: string; deadlineMs: number; signal?: AbortSignal;
  }): Promise<Static<S>> {
    const headers: Record<string, string> = { ...this.#headers };
    if (options.json !== undefined) headers['content-type'] = 'application/json';
    if (options.type !== undefined) headers['content-type'] = options.type;
    const response = await this.#send({
      method, path, headers,
      body: options.json !== undefined ? JSON.stringify(options.json) : (options.body as Dispatcher.DispatchOptions['body'] ?? null),
      headersTimeout: options.deadlineMs, bodyTimeout: options.deadlineMs, signal: options.signal,
    });
    if (response.statusCode !== 200) throw await refusal(response, this.node);
    const answer: unknown = await this.#json(response);
    if (!validator.Check(answer)) throw new TrivetError('internal', { node: this.node, path, problem: 'unexpected answer' });
    return answer as Static<S>;
  }

  async #send(options: Omit<Dispatcher.RequestOptions, 'origin'>): Promise<Dispatcher.ResponseData> {
    try {
      return await request(this.url, { ...options, dispatcher: this.#agent } as Parameters<typeof request>[1]) as Dispatcher.ResponseData;
    } catch (error) {
      throw this.#unreachable(error, options.signal as AbortSignal | undefined);
    }
  }

  async #json(response: Dispatcher.ResponseData): Promise<unknown> {
    try {
      return await response.body.json();
    } catch (error) {
      throw this.#unreachable(error, undefined);
    }
  }

  /** A stream from this node: what breaks it off is this node's. */
  async *#named(stream: AsyncIterable<Buffer>, signal: AbortSignal): AsyncGenerator<Buffer> {
    try {
      yield* stream;
    } catch (error) {
      throw this.#unreachable(error, signal);
    }
  }

  #unreachable(error: unknown, signal: AbortSignal | undefined): unknown {
    if (signal?.aborted && signal.reason instanceof TrivetError) return signal.reason;
    const code = (error as { code?: string }).code;
    const timeout = code === 'UND_ERR_HEADERS_TIMEOUT' || code === 'UND_ERR_BODY_TIMEOUT';
    return new TrivetError(timeout ? 'phase_timeout' : 'node_unreachable', { node: this.node, reason: code ?? (error as Error).message }, { cause: error });
  }
}

async function refusal(response: Dispatcher.ResponseData, node: string): Promise<TrivetError> {
  const body = await response.body.json().catch(() => undefined) as { code?: string; fields?: Record<string, unknown> } | undefined;
  const code = body?.code !== undefined && body.code in ERRORS ? body.code as ErrorCode : 'internal';
  return new TrivetError(code, { ...body?.fields, node, status: response.statusCode });
}
