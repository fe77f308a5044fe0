import type { Static, TSchema } from 'typebox';
import { Value } from 'typebox/value';
import { Agent, request } from 'undici';
import { ErrorAnswer } from '../rest/error.ts';
import { formatDuration } from './terminal/format.ts';
import { Interrupted, Refused, Unreachable } from './faults.ts';

/** How long a controller gets to take a connection, and to answer what needs no work. */
const CONNECT_MS = 10_000;
const ANSWER_MS = 30_000;
/** More than any answer has; what is longer comes from something else. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;
/** A connection that was never made has carried no request. */
const NEVER_SENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT'];

export type Query = Record<string, string | number | boolean | undefined>;

interface Controller {
  url: string;
  /** For a proxy in front that wants a password: from the URL's user and password. */
  authorization: string | undefined;
}

/**
 * REST of the controllers, with answers checked against their shapes. Controllers are tried in order, and the one that
 * answered is asked first from then on. Another one gets the same request only if it can't have been carried out: it was
 * never sent, or it changes nothing.
 */
export class Api {
  readonly #signal: AbortSignal;
  readonly #answerMs: number;
  readonly #agent: Agent;
  #controllers: readonly Controller[];

  /**
   * @param urls base URLs of controllers, one at least
   * @param signal ends what is under way, with `Interrupted`
   * @param answerMs how long an answer may take that needs no work
   */
  constructor(urls: readonly string[], signal: AbortSignal, answerMs = ANSWER_MS) {
    this.#controllers = urls.map(parseController);
    this.#signal = signal;
    this.#answerMs = answerMs;
    this.#agent = new Agent({ connect: { timeout: CONNECT_MS }, headersTimeout: 0, bodyTimeout: 0, maxResponseSize: MAX_ANSWER_BYTES });
  }

  /** @throws Unreachable, Refused, Interrupted */
  async get<Schema extends TSchema>(schema: Schema, path: string, query: Query = {}): Promise<Static<Schema>> {
    const given = Object.entries(query).filter(([, value]) => value !== undefined);
    const search = new URLSearchParams(given.map(([name, value]): [string, string] => [name, String(value)])).toString();
    return this.#ask(schema, { method: 'GET', path: search === '' ? path : `${path}?${search}`, deadlineMs: this.#answerMs });
  }

  /**
   * @param deadlineMs how long the answer may take; 0: as long as it takes
   * @throws Unreachable, Refused, Interrupted
   */
  async post<Schema extends TSchema>(schema: Schema, path: string, body?: object, deadlineMs: number = this.#answerMs): Promise<Static<Schema>> {
    return this.#ask(schema, { method: 'POST', path, body, deadlineMs });
  }

  /** @throws Unreachable, Refused, Interrupted */
  async patch<Schema extends TSchema>(schema: Schema, path: string, body: object): Promise<Static<Schema>> {
    return this.#ask(schema, { method: 'PATCH', path, body, deadlineMs: this.#answerMs });
  }

  /** @throws Unreachable, Refused, Interrupted */
  async delete<Schema extends TSchema>(schema: Schema, path: string): Promise<Static<Schema>> {
    return this.#ask(schema, { method: 'DELETE', path, deadlineMs: this.#answerMs });
  }

  async close(): Promise<void> {
    await this.#agent.destroy();
  }

  async #ask<Schema extends TSchema>(schema: Schema, question: Question): Promise<Static<Schema>> {
    const tried: { url: string; problem: string }[] = [];
    let last: unknown;
    for (const controller of this.#controllers) {
      try {
        const answer = await this.#send(controller, question);
        if (!Value.Check(schema, answer)) throw new Unusable(`answered what this CLI doesn't understand${where(schema, answer)}`);
        this.#controllers = [controller, ...this.#controllers.filter((other) => other !== controller)];
        return answer;
      } catch (error) {
        if (this.#signal.aborted) throw new Interrupted();
        last = error;
        tried.push({ url: controller.url, problem: problemOf(question, error) });
        if (!mayTryAnother(question, error)) break;
      }
    }
    if (last instanceof Refused) throw last;
    throw new Unreachable(tried, { cause: last });
  }

  async #send({ url, authorization }: Controller, { method, path, body, deadlineMs }: Question): Promise<unknown> {
    const deadline = deadlineMs === 0 ? [] : [AbortSignal.timeout(deadlineMs)];
    const { statusCode, headers, body: answer } = await request(`${url}${path}`, {
      method,
      dispatcher: this.#agent,
      signal: AbortSignal.any([this.#signal, ...deadline]),
      headers: {
        accept: 'application/json',
        ...(authorization === undefined ? {} : { authorization }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    const document = parse(text);
    if (statusCode >= 200 && statusCode < 300 && document !== undefined) return document;
    if (document !== undefined && Value.Check(ErrorAnswer, document)) throw new Refused(statusCode, document);
    throw new Unusable(`doesn't answer like a Trivet controller (HTTP status ${statusCode}, ${String(headers['content-type'] ?? 'no content type')})`);
  }
}

interface Question {
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  path: string;
  body?: object;
  deadlineMs: number;
}

/** Something answered, but not as a controller does. */
class Unusable extends Error {}

function mayTryAnother({ method }: Question, error: unknown): boolean {
  if (error instanceof Refused) return method === 'GET' && error.status === 503;
  return method === 'GET' || NEVER_SENT.includes(codeOf(error) ?? '');
}

function problemOf({ method, deadlineMs }: Question, error: unknown): string {
  if (error instanceof Refused) return `says: ${error.message}`;
  if (error instanceof Unusable) return error.message;
  const unknown = method === 'GET' ? '' : '; whether it did what was asked is not known';
  if ((error as Error).name === 'TimeoutError') return `gave no answer within ${formatDuration(deadlineMs)}${unknown}`;
  const code = codeOf(error);
  if (code === 'ECONNREFUSED') return 'refuses connections';
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `takes no connection within ${CONNECT_MS / 1_000} s`;
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return 'has a host name that is not known';
  return `broke the connection off (${code ?? (error as Error).message})${unknown}`;
}

/** The code of a network error; that of the first when several addresses of one host were tried. */
function codeOf(error: unknown): string | undefined {
  const { code, errors } = error as NodeJS.ErrnoException & { errors?: NodeJS.ErrnoException[] };
  return code ?? errors?.[0]?.code;
}

function where(schema: TSchema, answer: unknown): string {
  const [first] = Value.Errors(schema, answer);
  return first === undefined ? '' : ` (${first.instancePath === '' ? '/' : first.instancePath} ${first.message})`;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function parseController(text: string): Controller {
  const url = new URL(text);
  const { username, password } = url;
  url.username = '';
  url.password = '';
  return {
    url: `${url.origin}${url.pathname}`.replace(/\/+$/, ''),
    authorization: username === '' ? undefined
      : `Basic ${Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString('base64')}`,
  };
}
