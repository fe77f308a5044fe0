import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { Controllers } from './controllers.ts';

const QUESTION = { node: 'n1', repository: newId(), batch: newId(), transactions: [newId()] };
/** Longer than any test: nobody may wait for it. */
const NEVER_MS = 600_000;

test('a controller that was stopped is waited for no longer than until another has answered, and is asked last from then on', async (t) => {
  const asked: string[] = [];
  const stopped = await controller(t, () => asked.push('stopped'));
  const good = await controller(t, (response) => { asked.push('good'); answerAbort(response); });
  const controllers = make(t, [stopped, good], 300);
  const { promise: left, resolve } = Promise.withResolvers<void>();
  stopped.onClose = resolve;
  t.deepEqual(await controllers.settle(QUESTION), { outcome: 'abort' });
  await left;
  t.deepEqual(asked, ['stopped', 'good']);
  for (let i = 0; i < 3; i++) {
    asked.length = 0;
    await controllers.settle(QUESTION);
    t.is(asked[0], 'good');
  }
});

test('a controller that refuses, or that is not there, makes the next one be asked at once', async (t) => {
  const refusing = await controller(t, (response) => response.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"store_unavailable"}'));
  const odd = await controller(t, (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"outcome":"commit"}'));
  const good = await controller(t, answerAbort);
  const controllers = make(t, [{ url: 'http://127.0.0.1:9' }, refusing, odd, good], NEVER_MS);
  t.deepEqual(await controllers.settle(QUESTION), { outcome: 'abort' });
  t.deepEqual([refusing.asked, odd.asked, good.asked], [1, 1, 1]);
});

test('a slow controller may still be the first to answer', async (t) => {
  const { promise: hedged, resolve } = Promise.withResolvers<void>();
  const slow = await controller(t, (response) => { void hedged.then(() => answerAbort(response)); });
  const silent = await controller(t, () => resolve());
  t.deepEqual(await make(t, [slow, silent], 5).settle(QUESTION), { outcome: 'abort' });
});

test('when none answers, the fault says what the last one said', async (t) => {
  const refusing = await controller(t, (response) => response.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"store_unavailable"}'));
  const error = await t.throwsAsync(make(t, [{ url: 'http://127.0.0.1:9' }, refusing], NEVER_MS).settle(QUESTION), { code: 'store_unavailable' });
  t.like(error, { fields: { path: '/internal/settle', last: { code: 'store_unavailable' } } });
});

test('questions that a stopped controller holds don\'t keep others from being asked', async (t) => {
  const stopped = await controller(t, () => {});
  const good = await controller(t, answerAbort);
  const controllers = make(t, [stopped, good], 5);
  const answers = await Promise.all(Array.from({ length: 50 }, () => controllers.settle(QUESTION)));
  t.is(answers.length, 50);
});

function answerAbort(response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end('{"outcome":"abort"}');
}

function make(t: ExecutionContext, servers: readonly { url: string }[], hedgeMs: number): Controllers {
  const controllers = new Controllers(servers.map(({ url }) => url), 'token', hedgeMs);
  t.teardown(() => controllers.close());
  return controllers;
}

async function controller(t: ExecutionContext, answer: (response: ServerResponse) => void) {
  const made = { url: '', asked: 0, onClose: () => {} };
  const server = createServer((request, response) => {
    made.asked += 1;
    response.once('close', () => made.onClose());
    request.resume();
    answer(response);
  });
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve); });
  made.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return made;
}
