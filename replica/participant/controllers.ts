import { Agent, request } from 'undici';
import Type, { type TSchema, type Static } from 'typebox';
import { Check } from 'typebox/value';
import { TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import {
  HandshakeAnswer, MaintenanceAnswer, SettleAnswer, SurplusAnswer, type HandshakeRequest, type MaintenanceRequest, type ReportRequest,
  type SettleRequest, type SurplusRequest,
} from '@trivet/proto/messages.ts';
import { PROTOCOL_HEADERS } from '@trivet/proto/protocol-version.ts';

const DEADLINE_MS = 30_000;
/** A controller that has said nothing for so long is asked no less, but the next one as well. */
const HEDGE_MS = 1_000;
/** A controller that was stopped holds on to its connections; there must be more for whoever asks next. */
const CONNECTIONS = 16;

/**
 * What a node asks controllers. Any of them can answer, and each question may be asked twice without harm, so the first good
 * answer counts. The one that gave the last good answer is asked first.
 */
export class Controllers {
  readonly #urls: readonly string[];
  readonly #token: string;
  readonly #hedgeMs: number;
  readonly #agent = new Agent({ connect: { timeout: 2_000 }, connections: CONNECTIONS });
  /** Which of the URLs answered last. */
  #first = 0;

  constructor(urls: readonly string[], token: string, hedgeMs = HEDGE_MS) {
    this.#urls = urls;
    this.#token = token;
    this.#hedgeMs = hedgeMs;
  }

  /**
   * Says that this node has started, and where it can be reached.
   * @throws TrivetError one of REFUSALS when a controller refuses this node; version_mismatch, as every question, when no
   *   controller answers and one of them is too far apart in version
   */
  async handshake(message: HandshakeRequest): Promise<HandshakeAnswer> {
    return this.#post('/internal/handshake', message, HandshakeAnswer);
  }

  /** Says which generation and digest every replica has. The controller decides which of them are current. */
  async report(message: ReportRequest): Promise<void> {
    await this.#post('/internal/report', message, Type.Object({}));
  }

  /** Learns a batch's outcome. A batch that nobody has decided is aborted by asking. */
  async settle(message: SettleRequest): Promise<SettleAnswer> {
    return this.#post('/internal/settle', message, SettleAnswer);
  }

  /** Asks for permission to work on the files of a replica, or says that this is over. Throws TrivetError store_unavailable. */
  async maintenance(message: MaintenanceRequest): Promise<MaintenanceAnswer> {
    return this.#post('/internal/maintenance', message, MaintenanceAnswer);
  }

  /** Whether a copy is no replica any more, and may be deleted. */
  async isSurplus(message: SurplusRequest): Promise<boolean> {
    return (await this.#post('/internal/surplus', message, SurplusAnswer)).surplus;
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #post<S extends TSchema>(path: string, message: object, schema: S): Promise<Static<S>> {
    const over = new AbortController();
    const waiting = this.#urls.map((_, i) => (this.#first + i) % this.#urls.length).values();
    const { promise, resolve, reject } = Promise.withResolvers<Static<S>>();
    let timer: NodeJS.Timeout | undefined;
    let failed = 0;
    let mismatch: TrivetError | undefined;
    const askNext = () => {
      clearTimeout(timer);
      const { value: index } = waiting.next();
      if (index === undefined) return;
      timer = setTimeout(askNext, this.#hedgeMs);
      this.#ask(`${this.#urls[index]}${path}`, message, schema, over.signal).then((answer) => {
        this.#first = index;
        resolve(answer);
      }, (fault: unknown) => {
        const refusal = refusalIn(fault, this.#urls[index]!);
        if (isRefusal(refusal)) return reject(refusal);
        failed += 1;
        // During an upgrade another one may still get on with this node; where none does, that is what an operator must know.
        mismatch ??= refusal;
        if (failed < this.#urls.length) return askNext();
        if (mismatch !== undefined) return reject(mismatch);
        const last = fault instanceof Error ? fault.message : fault;
        reject(new TrivetError('store_unavailable', { path, last }, { cause: fault }));
      });
    };
    askNext();
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      over.abort();
    }
  }

  /** Throws what went wrong, or what the controller answered instead. */
  async #ask<S extends TSchema>(url: string, message: object, schema: S, signal: AbortSignal): Promise<Static<S>> {
    const response = await request(url, {
      method: 'POST',
      dispatcher: this.#agent,
      headers: { ...PROTOCOL_HEADERS, 'content-type': 'application/json', authorization: `Bearer ${this.#token}` },
      body: JSON.stringify(message),
      headersTimeout: DEADLINE_MS,
      bodyTimeout: DEADLINE_MS,
      signal,
    });
    const answer = await response.body.json();
    if (response.statusCode === 200 && Check(schema, answer)) return answer;
    throw answer;
  }
}

/** The answers that every other controller would give as well, now and later. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set(['wrong_directory', 'wrong_cluster', 'node_id_in_use', 'node_removed']);

/** Whether a controller has refused this node for good. */
export function isRefusal(error: unknown): error is TrivetError {
  return error instanceof TrivetError && REFUSALS.has(error.code);
}

/** An answer that no waiting changes, if it is one; `version_mismatch` is this controller's own. */
function refusalIn(answer: unknown, url: string): TrivetError | undefined {
  const { code, fields } = (answer ?? {}) as { code?: ErrorCode; fields?: Record<string, unknown> };
  return code !== undefined && (REFUSALS.has(code) || code === 'version_mismatch') ? new TrivetError(code, { ...fields, url }) : undefined;
}
