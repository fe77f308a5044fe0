import { once } from 'node:events';
import type { Socket } from 'node:net';
import anyTest, { type TestFn } from 'ava';
import { encodeRequest, open, received } from './raw-http.ts';
import { PUSH_TYPE, pushBody, soundHistory, Target, ZERO } from './target.ts';

const test = anyTest as TestFn<{ target: Target }>;
const IDLE_MS = 300;
const HEADERS_MS = 500;

test.before(async (t) => {
  t.context = { target: await Target.start({ environment: { TRIVET_BODY_IDLE_MS: String(IDLE_MS), TRIVET_HEADERS_MS: String(HEADERS_MS) } }) };
});
test.after.always(async (t) => { await t.context.target.cluster.stop(); });

const { tip } = soundHistory('never finished');
const command = pushBody({ commands: [`${ZERO} ${tip} refs/heads/bad`] });
const push = (target: Target, sent: Buffer, headers: Record<string, string | number> = {}) => encodeRequest({
  method: 'POST', target: `${target.path}/git-receive-pack`, headers: { 'content-type': PUSH_TYPE, 'content-length': 100_000, ...headers }, body: sent,
});
const json = (length: number, sent: string) => encodeRequest({
  method: 'POST', target: '/api/repos/never', headers: { 'content-type': 'application/json', 'content-length': length }, body: sent,
});

const stalls: [where: string, bytes: (target: Target) => Buffer][] = [
  ['before its body', (target) => push(target, Buffer.alloc(0))],
  ['in a length', (target) => push(target, Buffer.from('00'))],
  ['in a command', (target) => push(target, command.subarray(0, 30))],
  ['before the end of its commands', (target) => push(target, command.subarray(0, -4))],
  ['before its pack', (target) => push(target, command)],
  ['in its pack', (target) => push(target, Buffer.concat([command, Buffer.from('PACK\0\0\0\x02\0\0\0\x01', 'latin1')]))],
  ['in its gzip', (target) => push(target, Buffer.from([0x1f, 0x8b, 8]), { 'content-encoding': 'gzip' })],
  ['in its fetch', (target) => encodeRequest({ method: 'POST', target: `${target.path}/git-upload-pack`, headers: { 'content-type': 'application/x-git-upload-pack-request', 'content-length': 500 }, body: '0032want' })],
  ['before its JSON', () => json(10, '')],
  ['in its JSON', () => json(10, '{"a"')],
];

for (const [where, bytes] of stalls) {
  test.serial(`a client that stops ${where} is told so, and hung up on`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const socket = open(target.cluster.port);
      socket.write(bytes(target));
      const answer = await received(socket);
      t.is(answer.status, 408);
      t.regex(answer.body, /the request body came too slowly/);
    });
  });
}

for (const [where, bytes] of [['before its request', ''], ['in the request line', 'GET /hea'], ['in the headers', 'GET /healthz HTTP/1.1\r\nhost: x\r\nx-']] as const) {
  test.serial(`a client that stops ${where} is hung up on`, async (t) => {
    const { target } = t.context;
    await target.unharmed(t, async () => {
      const socket = open(target.cluster.port);
      if (bytes !== '') socket.write(bytes);
      const answer = await received(socket);
      t.true([0, 408].includes(answer.status), String(answer.status));
    });
  });
}

test.serial('JSON that comes letter by letter has to be whole within the time as well', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const socket = open(target.cluster.port);
    const answer = received(socket);
    await drip(socket, json(60_000, '{"defaultBranch":"'), Buffer.alloc(50_000, 'x'));
    t.is((await answer).status, 408);
  });
});

test.serial('headers that come letter by letter have to be whole within the time as well', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const socket = open(target.cluster.port);
    const answer = received(socket);
    await drip(socket, Buffer.from('GET /healthz HTTP/1.1\r\nhost: x\r\nx-long: '), Buffer.alloc(10_000, 'y'));
    t.true([0, 408].includes((await answer).status));
  });
});

test.serial('a hundred stalled clients keep nobody from pushing', async (t) => {
  const { target } = t.context;
  await target.unharmed(t, async () => {
    const sockets = Array.from({ length: 100 }, () => open(target.cluster.port));
    await Promise.all(sockets.map((socket) => once(socket, 'connect')));
    for (const socket of sockets) socket.write(push(target, command.subarray(0, 30)));
    t.is((await target.ask({ target: `${target.path}/info/refs?service=git-receive-pack` })).status, 200);
    const answers = await Promise.all(sockets.map((socket) => received(socket)));
    t.true(answers.every(({ status }) => status === 408));
  });
});

test.serial('after all of them the replicas are equal and sound', async (t) => {
  await t.context.target.finish(t);
});

/** Sends `bytes` one at a time, with a pause far below the idle limit, until the server hangs up. */
async function drip(socket: Socket, head: Buffer, bytes: Buffer): Promise<void> {
  socket.write(head);
  for (const byte of bytes) {
    if (socket.destroyed || socket.readableEnded || !socket.writable) return;
    socket.write(Buffer.from([byte]));
    await new Promise((done) => { setTimeout(done, 20); });
  }
}
