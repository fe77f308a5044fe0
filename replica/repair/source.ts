import { Readable } from 'node:stream';
import { request, type Agent, type Dispatcher } from 'undici';
import { Compile } from 'typebox/compile';
import { TrivetError } from '@trivet/proto/errors.ts';
import { BYTES_PER_SECOND_HEADER, GENERATION_HEADER, PackListing, RefsSnapshot } from '@trivet/proto/messages.ts';
import { PROTOCOL_HEADERS } from '@trivet/proto/protocol-version.ts';

/** A source that says nothing for so long is taken for gone; it is asked again before the round fails. */
const SILENCE_MS = 60_000;

const refsSnapshot = Compile(RefsSnapshot);
const packListing = Compile(PackListing);

/** One repository on the node a repair takes from. */
export class Source {
  /** Where stock git finds the repository. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly #agent: Agent;
  readonly #signal: AbortSignal;

  constructor(input: {
    url: string; repository: string; token: string; bytesPerSecond: number | undefined; agent: Agent; signal: AbortSignal;
  }) {
    this.url = `${input.url}/repositories/${input.repository}`;
    this.headers = {
      ...PROTOCOL_HEADERS,
      authorization: `Bearer ${input.token}`,
      ...(input.bytesPerSecond !== undefined && { [BYTES_PER_SECOND_HEADER]: String(input.bytesPerSecond) }),
    };
    this.#agent = input.agent;
    this.#signal = input.signal;
  }

  /**
   * Every ref at one generation.
   * @param generation that the source must have at least
   * @throws TrivetError node_unreachable, repair_failed with what the source said
   */
  async snapshot(generation = 0): Promise<RefsSnapshot> {
    return this.#json('/refs', refsSnapshot, { [GENERATION_HEADER]: String(generation) });
  }

  /** Throws as `snapshot`. */
  async packs(): Promise<PackListing> {
    return this.#json('/packs', packListing, {});
  }

  /**
   * Begins to read a file of the pack directory.
   * @param from the first byte asked for
   * @returns the bytes, and which of the file is the first: 0 when the source can't begin anywhere else; undefined when it
   *   has no such file
   * @throws as `snapshot`
   */
  async open(file: string, from: number): Promise<{ body: Readable; from: number; size: number } | undefined> {
    const { statusCode, headers, body } = await this.#send(`/packs/${file}`, from === 0 ? {} : { range: `bytes=${from}-` });
    const length = Number(headers['content-length']);
    if (statusCode === 200) return { body, from: 0, size: length };
    if (statusCode === 206) return { body, from, size: from + length };
    await body.dump();
    // Nothing is left from there on: the file is shorter than what the caller has.
    if (statusCode === 416) return { body: Readable.from([]), from: 0, size: 0 };
    if (statusCode === 404) return undefined;
    throw new TrivetError('repair_failed', { source: this.url, file, status: statusCode });
  }

  async #json<T>(path: string, validator: { Check(value: unknown): value is T }, headers: Record<string, string>): Promise<T> {
    const { statusCode, body } = await this.#send(path, headers);
    const answer: unknown = await body.json().catch((error: unknown) => { throw this.#unreachable(error); });
    if (statusCode === 200 && validator.Check(answer)) return answer;
    const { code, fields } = answer as { code?: unknown; fields?: unknown };
    throw new TrivetError('repair_failed', { source: this.url, path, status: statusCode, code, fields });
  }

  async #send(path: string, headers: Record<string, string>): Promise<Dispatcher.ResponseData> {
    try {
      return await request(`${this.url}${path}`, {
        dispatcher: this.#agent, signal: this.#signal, headers: { ...this.headers, ...headers },
        headersTimeout: SILENCE_MS, bodyTimeout: SILENCE_MS,
      });
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  #unreachable(error: unknown): unknown {
    this.#signal.throwIfAborted();
    return new TrivetError('node_unreachable', { source: this.url, problem: (error as Error).message }, { cause: error });
  }
}
