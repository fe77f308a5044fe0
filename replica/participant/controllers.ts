import { Agent, request } from 'undici';
import Type, { type TSchema, type Static } from 'typebox';
import { Check } from 'typebox/value';
import { TrivetError } from '@trivet/proto/errors.ts';
import {
  MaintenanceAnswer, SettleAnswer, type HandshakeRequest, type MaintenanceRequest, type ReportRequest, type SettleRequest,
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
   * @throws TrivetError wrong_directory when a controller refuses this node on this directory; version_mismatch, as every
   *   question, when no controller answers and one of them is too far apart in version
   */
  async handshake(message: HandshakeRequest): Promise<void> {
    await this.#post('/internal/handshake', message, Type.Object({}));
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
        if (refusal?.code === 'wrong_directory') return reject(refusal);
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

/**
 * An answer that no waiting changes, if it is one. `wrong_directory` every other controller would give as well, now and
 * later; `version_mismatch` is this controller's own.
 */
function refusalIn(answer: unknown, url: string): TrivetError | undefined {
  const { code, fields } = (answer ?? {}) as { code?: unknown; fields?: Record<string, unknown> };
  return code === 'wrong_directory' || code === 'version_mismatch' ? new TrivetError(code, { ...fields, url }) : undefined;
}
