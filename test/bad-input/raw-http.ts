import { connect, type Socket } from 'node:net';

/** An answer as it came over the wire. */
export interface Answer {
  /** 0 when the connection was closed without an answer. */
  status: number;
  headers: ReadonlyMap<string, string>;
  body: string;
}

export interface RawRequest {
  method?: string;
  /** The target exactly as it shall stand in the request line. */
  target: string;
  headers?: Readonly<Record<string, string | number>>;
  body?: Buffer | string;
}

/** The bytes of a request, with `Connection: close` and the Content-Length of its body unless they are given. */
export function encodeRequest({ method = 'GET', target, headers = {}, body }: RawRequest): Buffer {
  const bytes = body === undefined ? undefined : Buffer.from(body as string);
  const length = bytes === undefined || 'transfer-encoding' in headers ? {} : { 'content-length': bytes.length };
  const all = { host: 'trivet', connection: 'close', ...length, ...headers };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  return Buffer.concat([Buffer.from(`${method} ${target} HTTP/1.1\r\n${lines}\r\n`, 'latin1'), bytes ?? Buffer.alloc(0)]);
}

/** Sends bytes and takes what comes until the server closes the connection. */
export async function exchange(port: number, bytes: Buffer): Promise<Answer> {
  const socket = open(port);
  socket.write(bytes);
  return received(socket);
}

export function ask(port: number, request: RawRequest): Promise<Answer> {
  return exchange(port, encodeRequest(request));
}

export function open(port: number): Socket {
  // What an abandoned connection reports is no concern of a test; what was answered is.
  return connect(port, '127.0.0.1').on('error', () => {});
}

/** The first answer on a connection, once the server has closed it. */
export async function received(socket: Socket): Promise<Answer> {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk) => chunks.push(chunk));
  await new Promise((done) => { socket.once('close', done); });
  return parse(Buffer.concat(chunks));
}

function parse(bytes: Buffer): Answer {
  const end = bytes.indexOf('\r\n\r\n');
  if (end === -1) return { status: 0, headers: new Map(), body: bytes.toString('latin1') };
  const [statusLine = '', ...lines] = bytes.subarray(0, end).toString('latin1').split('\r\n');
  const headers = new Map(lines.map((line) => {
    const colon = line.indexOf(':');
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  }));
  const rest = bytes.subarray(end + 4);
  const body = headers.get('transfer-encoding') === 'chunked' ? unchunk(rest) : rest;
  return { status: Number(statusLine.split(' ')[1]), headers, body: body.toString('latin1') };
}

function unchunk(bytes: Buffer): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; ;) {
    const end = bytes.indexOf('\r\n', at);
    const size = Number.parseInt(bytes.subarray(at, end).toString('latin1'), 16);
    if (!(size > 0)) return Buffer.concat(parts);
    parts.push(bytes.subarray(end + 2, end + 2 + size));
    at = end + 2 + size + 2;
  }
}
