import { once } from 'node:events';
import { Agent, createServer, get, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { buffer } from 'node:stream/consumers';
import test, { type ExecutionContext } from 'ava';
import { RequestsInFlight } from './requests-in-flight.ts';

test('what runs is named, and forgotten when it is answered or its client has left', async (t) => {
  const { requests, ask, answer } = await serving(t);
  const asked = ask('/a');
  const response = await answer();
  t.deepEqual(requests.named, ['GET /a']);
  const answered = once(response, 'close');
  response.end('x');
  await asked;
  await answered;
  t.is(requests.size, 0);

  const left = ask('/b');
  const lonely = await answer();
  const gone = once(lonely, 'close');
  (await left.request).destroy();
  await t.throwsAsync(left);
  await gone;
  t.deepEqual([requests.size, requests.named], [0, []]);
});

test('once it is the last, every answer closes its connection, also one that was under way', async (t) => {
  const { requests, ask, answer } = await serving(t);
  const first = ask('/first');
  const early = await answer();
  requests.lastAnswers();
  const second = ask('/second');
  early.end('x');
  (await answer()).end('x');
  t.deepEqual([(await first).headers.connection, (await second).headers.connection], ['close', 'close']);
});

test('control: before that a connection stays', async (t) => {
  const { ask, answer } = await serving(t);
  const asked = ask('/');
  (await answer()).end('x');
  t.is((await asked).headers.connection, 'keep-alive');
});

test('the end waits for what runs and for nothing else: neither for idle connections nor for those that never asked anything', async (t) => {
  const { requests, ask, answer, port } = await serving(t);
  const idle = ask('/idle');
  (await answer()).end('x');
  await idle;
  const mute = connect(port, '127.0.0.1').on('error', () => {});
  await once(mute, 'connect');
  const long = ask('/long');
  const response = await answer();
  response.write('first');
  let ended = false;
  const end = requests.end().then(() => { ended = true; });
  await t.throwsAsync(ask('/late'), { code: 'ECONNREFUSED' });
  t.false(ended);
  response.end(' last');
  t.is((await long).text, 'first last');
  await end;
  await once(mute, 'close');
});

interface Answer { headers: IncomingMessage['headers']; text: string }

async function serving(t: ExecutionContext) {
  const waiting: ServerResponse[] = [];
  const server = createServer((_request, response) => { waiting.push(response); server.emit('asked'); });
  const requests = new RequestsInFlight(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => { agent.destroy(); server.closeAllConnections(); server.close(); });
  const ask = (path: string) => {
    const { promise: request, resolve: sent } = Promise.withResolvers<ReturnType<typeof get>>();
    const answer = new Promise<Answer>((resolve, reject) => {
      const asked = get({ port, host: '127.0.0.1', path, agent }, (response) => {
        buffer(response).then((bytes) => resolve({ headers: response.headers, text: bytes.toString() }), reject);
      });
      asked.once('error', reject);
      sent(asked);
    });
    return Object.assign(answer, { request });
  };
  const answer = async () => {
    while (waiting.length === 0) await once(server, 'asked');
    return waiting.shift()!;
  };
  return { requests, ask, answer, port };
}
