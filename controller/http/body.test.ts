import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import type { FastifyRequest } from 'fastify';
import { discardRest, readBody, readWholeBody, type BodyLimits } from './body.ts';

const LIMITS: BodyLimits = { maxBytes: 100_000, idleMs: 60_000 };
const PLAIN = Buffer.from('what a client sends\n'.repeat(500));

interface Received { raw: IncomingMessage; request: FastifyRequest; socket: Socket }

/** A request as node's own server hands it over; its body is what is written to `socket` afterwards. */
async function receive(t: ExecutionContext, headers: Record<string, string | number>): Promise<Received> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => {});
  t.teardown(() => { socket.destroy(); server.closeAllConnections(); server.close(); });
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`).join('');
  socket.write(`POST / HTTP/1.1\r\nhost: x\r\n${lines}\r\n`);
  const [raw] = await once(server, 'request') as [IncomingMessage];
  return { raw, request: { raw, headers: raw.headers } as FastifyRequest, socket };
}

async function send(t: ExecutionContext, body: Buffer, headers: Record<string, string> = {}): Promise<Received> {
  const received = await receive(t, { 'content-length': body.length, ...headers });
  received.socket.write(body);
  return received;
}

test('a body comes as it was sent', async (t) => {
  const { request } = await send(t, PLAIN);
  t.deepEqual(await readWholeBody(request, LIMITS), PLAIN);
});

test('a body in chunks comes without their frames', async (t) => {
  const { request, socket } = await receive(t, { 'transfer-encoding': 'chunked' });
  socket.write('3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n');
  t.is((await readWholeBody(request, LIMITS)).toString(), 'abcde');
});

for (const encoding of ['gzip', 'x-gzip', 'GZip']) {
  test(`a body in ${encoding} is unpacked`, async (t) => {
    const { request } = await send(t, gzipSync(PLAIN), { 'content-encoding': encoding });
    t.deepEqual(await readWholeBody(request, LIMITS), PLAIN);
  });
}

for (const encoding of ['deflate', 'br', 'zstd', 'compress', 'gzip, gzip', 'identity, gzip', '']) {
  test(`a body in "${encoding}" is refused before it is read`, async (t) => {
    const { request } = await receive(t, { 'content-length': 5, 'content-encoding': encoding });
    t.like(t.throws(() => readBody(request, LIMITS)), { code: 'unsupported_encoding' });
  });
}

const gzip = gzipSync(PLAIN);
const damaged = Buffer.from(gzip);
damaged[gzip.length - 8]! ^= 1;
const broken: [name: string, body: Buffer][] = [
  ['no gzip at all', PLAIN],
  ['nothing', Buffer.alloc(0)],
  ['gzip cut in its header', gzip.subarray(0, 5)],
  ['gzip cut in the middle', gzip.subarray(0, gzip.length / 2)],
  ['gzip without its last byte', gzip.subarray(0, -1)],
  ['gzip with a wrong checksum', damaged],
];

for (const [name, body] of broken) {
  test(`${name} is no valid gzip`, async (t) => {
    const { request } = await send(t, body, { 'content-encoding': 'gzip' });
    t.like(await t.throwsAsync(readWholeBody(request, LIMITS)), { code: 'bad_encoding' });
  });
}

test('a body of exactly the limit is taken, one byte more is not', async (t) => {
  const exact = Buffer.alloc(LIMITS.maxBytes);
  t.is((await readWholeBody((await send(t, exact)).request, LIMITS)).length, LIMITS.maxBytes);
  const error = await t.throwsAsync(readWholeBody((await send(t, Buffer.alloc(LIMITS.maxBytes + 1))).request, LIMITS));
  t.like(error, { code: 'body_too_large', fields: { limit: LIMITS.maxBytes } });
});

test('a gzip bomb is stopped at the limit, not when it has gone off', async (t) => {
  const bomb = gzipSync(Buffer.alloc(50_000_000));
  const { request } = await send(t, bomb, { 'content-encoding': 'gzip' });
  let bytes = 0;
  const reading = (async () => {
    for await (const chunk of readBody(request, LIMITS)) bytes += chunk.length;
  })();
  t.like(await t.throwsAsync(reading), { code: 'body_too_large' });
  t.true(bytes <= LIMITS.maxBytes);
});

for (const headers of [{}, { 'content-encoding': 'gzip' }] as Record<string, string>[]) {
  test(`a client that goes away leaves a truncated body (${JSON.stringify(headers)})`, async (t) => {
    const { request, socket } = await receive(t, { 'content-length': 1_000, ...headers });
    socket.write(gzip.subarray(0, 20), () => socket.destroy());
    t.like(await t.throwsAsync(readWholeBody(request, LIMITS)), { code: 'body_truncated' });
  });

  test(`a client that stops sending is not waited for (${JSON.stringify(headers)})`, async (t) => {
    const { request, socket } = await receive(t, { 'content-length': 1_000, ...headers });
    socket.write(gzip.subarray(0, 20));
    t.like(await t.throwsAsync(readWholeBody(request, { ...LIMITS, idleMs: 50 })), { code: 'body_too_slow', fields: { idleMs: 50 } });
  });
}

test('malformed chunks leave a truncated body', async (t) => {
  const { request, socket } = await receive(t, { 'transfer-encoding': 'chunked' });
  socket.write('3\r\nabc\r\nnonsense\r\n');
  t.like(await t.throwsAsync(readWholeBody(request, LIMITS)), { code: 'body_truncated' });
});

for (const headers of [{}, { 'content-encoding': 'gzip' }] as Record<string, string>[]) {
  test(`the rest of a body given up half way flows away, so that the client can read its answer (${JSON.stringify(headers)})`, async (t) => {
    // More than the buffers of a connection hold, and of what gzip can't make small.
    const body = Buffer.alloc(8_000_000);
    for (let i = 0; i < body.length; i += 4) body.writeUInt32LE(Math.imul(i, 2_654_435_761) >>> 0, i);
    const sent = 'content-encoding' in headers ? gzipSync(body, { level: 1 }) : body;
    const { raw, request, socket } = await receive(t, { 'content-length': sent.length, ...headers });
    const written = new Promise<void>((done) => { socket.write(sent, () => done()); });
    const chunks = readBody(request, LIMITS)[Symbol.asyncIterator]();
    t.false((await chunks.next()).done);
    // Somebody is waiting for more at the same moment.
    void chunks.next().catch(() => {});
    discardRest(raw, 60_000);
    await written;
    if (!raw.complete) await once(raw, 'end');
    t.true(raw.complete);
  });
}

test('a body that does not end is not discarded for ever', async (t) => {
  const { raw, socket } = await receive(t, { 'content-length': 1_000 });
  discardRest(raw, 20);
  await once(socket, 'close');
  t.true(socket.destroyed);
});
