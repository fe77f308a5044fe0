import { Agent, request } from 'undici';
import Type, { type TSchema, type Static } from 'typebox';
import { Check } from 'typebox/value';
import { TrivetError, type ErrorCode } from '@trivet/proto/errors.ts';
import { SettleAnswer, type HandshakeRequest, type ReportRequest, type SettleRequest } from '@trivet/proto/messages.ts';

const DEADLINE_MS = 30_000;

/** What a node asks controllers. Any of them can answer, so the list is tried in order. */
export class Controllers {
  readonly #urls: readonly string[];
  readonly #token: string;
  readonly #agent = new Agent({ connect: { timeout: 2_000 }, connections: 4 });

  constructor(urls: readonly string[], token: string) {
    this.#urls = urls;
    this.#token = token;
  }

  /**
   * Says that this node has started, and where it can be reached.
   * @throws TrivetError wrong_directory when a controller refuses this node on this directory
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

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #post<S extends TSchema>(path: string, message: object, schema: S): Promise<Static<S>> {
    let last: unknown;
    for (const url of this.#urls) {
      try {
        const response = await request(`${url}${path}`, {
          method: 'POST',
          dispatcher: this.#agent,
          headers: { 'content-type': 'application/json', authorization: `Bearer ${this.#token}` },
          body: JSON.stringify(message),
          headersTimeout: DEADLINE_MS,
          bodyTimeout: DEADLINE_MS,
        });
        const answer = await response.body.json();
        if (response.statusCode === 200 && Check(schema, answer)) return answer;
        if (isRefusal(answer)) throw new TrivetError('wrong_directory', { path });
        last = answer;
      } catch (error) {
        if (error instanceof TrivetError) throw error;
        last = error;
      }
    }
    throw new TrivetError('store_unavailable', { path, last: last instanceof Error ? last.message : last }, { cause: last });
  }
}

/** The one answer that another controller would give as well, now and later. */
function isRefusal(answer: unknown): boolean {
  return (answer as { code?: unknown } | null)?.code === ('wrong_directory' satisfies ErrorCode);
}
