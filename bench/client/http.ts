import { Agent, request } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** The answer to a request whose body was handed over piece by piece. */
export interface Answer {
  status: number;
  contentType: string;
}

/** A body to send: at hand, or a stream of exactly so many bytes. */
export type Body = Buffer | { stream: Readable; bytes: number };

/** Kept-alive connections to one server, as many as there are requests at a time. */
export class HttpClient {
  readonly #agent = new Agent({ keepAlive: true });

  /** Sends one request and gives the response's body to `onData` as it arrives. Rejects when the connection breaks. */
  async send(
    method: 'GET' | 'POST',
    url: string,
    headers: Readonly<Record<string, string>>,
    body: Body | undefined,
    onData: (chunk: Buffer) => void,
  ): Promise<Answer> {
    const bytes = Buffer.isBuffer(body) ? body.length : body?.bytes;
    const length = bytes === undefined ? {} : { 'content-length': String(bytes) };
    const outgoing = request(url, { agent: this.#agent, method, headers: { ...headers, ...length } });
    const answered = new Promise<Answer>((resolve, reject) => {
      outgoing.once('error', reject);
      outgoing.once('response', (response) => {
        response.on('data', onData);
        response.once('error', reject);
        response.once('end', () => {
          // A connection that broke in the middle also ends; only a complete message counts.
          if (!response.complete) reject(new Error(`${method} ${url}: the response broke off`));
          else resolve({ status: response.statusCode ?? 0, contentType: response.headers['content-type'] ?? '' });
        });
        response.once('aborted', () => reject(new Error(`${method} ${url}: the response was aborted`)));
      });
    });
    if (body === undefined || Buffer.isBuffer(body)) {
      outgoing.end(body);
      return answered;
    }
    // A server that refuses early closes the connection while the body is still being sent; its answer says why.
    const [answer, sent] = await Promise.allSettled([answered, pipeline(body.stream, outgoing)]);
    if (answer.status === 'rejected') throw answer.reason;
    if (sent.status === 'rejected' && answer.value.status === 200) throw sent.reason;
    return answer.value;
  }

  /** Ends the connections. */
  close(): void {
    this.#agent.destroy();
  }
}
