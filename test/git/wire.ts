import { request as startRequest, type Agent, type IncomingHttpHeaders } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { encodePacket, FLUSH } from '@trivet/proto/pkt-line.ts';

// Requests no git client would send, or not at that moment.

export interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The local port of the connection: two requests with the same one shared it. */
  localPort: number | undefined;
  /** Whether the server said `100 Continue`. */
  continued: boolean;
}

export interface RequestOptions {
  method?: string;
  headers?: Record<string, string>;
  /** Several chunks are sent with chunked encoding unless the headers give a length. */
  body?: Buffer | readonly Buffer[];
  agent?: Agent;
}

/** One HTTP request and its whole answer. With `Expect: 100-continue` the body waits for the server's word. */
export function request(url: string, options: RequestOptions = {}): Promise<Answer> {
  const { method = 'GET', headers = {}, body = [], agent } = options;
  const chunks = Buffer.isBuffer(body) ? [body] : body;
  return new Promise((resolve, reject) => {
    const sent = startRequest(url, { method, agent, headers: Buffer.isBuffer(body) ? { 'content-length': String(body.length), ...headers } : headers });
    let continued = false;
    const sendBody = () => {
      for (const chunk of chunks) sent.write(chunk);
      sent.end();
    };
    sent.once('error', reject);
    sent.once('continue', () => {
      continued = true;
      sendBody();
    });
    sent.once('response', (response) => {
      const { localPort } = response.socket;
      buffer(response).then((answer) => {
        resolve({ status: response.statusCode!, headers: response.headers, body: answer, localPort, continued });
      }, reject);
    });
    if (headers['expect'] === undefined) sendBody();
    else sent.flushHeaders();
  });
}

/** The body of a push: commands with the capabilities behind the first, push options, and the pack. */
export function pushBody(commands: readonly string[], capabilities: string, pack: Buffer = Buffer.alloc(0), options?: readonly string[]): Buffer {
  const lines = commands.map((command, i) => encodePacket(i === 0 ? `${command}\0 ${capabilities}` : command));
  const optionLines = options === undefined ? [] : [...options.map((option) => encodePacket(option)), FLUSH];
  return Buffer.concat([...lines, FLUSH, ...optionLines, pack]);
}

export function push(url: string, body: Buffer): Promise<Answer> {
  return request(`${url}/git-receive-pack`, { method: 'POST', headers: { 'content-type': 'application/x-git-receive-pack-request' }, body });
}

export function uploadPack(url: string, body: Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return request(`${url}/git-upload-pack`, {
    method: 'POST', headers: { 'content-type': 'application/x-git-upload-pack-request', ...headers }, body,
  });
}

/** Packets of text, a delimiter for `0001` and a flush for `0000`. */
export function packets(...lines: string[]): Buffer {
  return Buffer.concat(lines.map((line) => (line === '0000' || line === '0001' ? Buffer.from(line) : encodePacket(line))));
}
