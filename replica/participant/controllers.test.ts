import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { Controllers } from './controllers.ts';

const QUESTION = { node: 'n1', repository: newId(), batch: newId(), transactions: [newId()] };
/** Longer than any test: nobody may wait for it. */
const NEVER_MS = 600_000;

test('a controller that was stopped is waited for no longer than until another has answered, and its question is given up', async (t) => {
  const stopped = await controller(t, () => {});
  const good = await controller(t, answerAbort);
  const controllers = make(t, [stopped, good], 5);
  const { promise: left, resolve } = Promise.withResolvers<void>();
  stopped.onClose = resolve;
  t.deepEqual(await controllers.settle(QUESTION), { outcome: 'abort' });
  await left;
  t.deepEqual([stopped.asked, good.asked], [1, 1]);
});

test('a controller that refuses, or that is not there, makes the next one be asked at once, and whoever answered is asked first from then on', async (t) => {
  const refusing = await controller(t, (response) => response.writeHead(503, { 'content-type': 'application/json' }).end('{"code":"store_unavailable"}'));
  const odd = await controller(t, (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"outcome":"commit"}'));
  const good = await controller(t, answerAbort);
  const controllers = make(t, [{ url: 'http://127.0.0.1:9' }, refusing, odd, good], NEVER_MS);
  t.deepEqual(await controllers.settle(QUESTION), { outcome: 'abort' });
  t.deepEqual([refusing.asked, odd.asked, good.asked], [1, 1, 1]);
  await controllers.settle(QUESTION);
  t.deepEqual([refusing.asked, odd.asked, good.asked], [1, 1, 2]);
});

test('a refusal of the directory counts at once: every controller would say the same', async (t) => {
  const refusing = await controller(t, (response) => response.writeHead(409, { 'content-type': 'application/json' }).end('{"code":"wrong_directory"}'));
  const other = await controller(t, (response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
  const controllers = make(t, [refusing, other], NEVER_MS);
  await t.throwsAsync(controllers.handshake({ node: 'n1', url: 'http://127.0.0.1:1', boot: newId(), directory: { node: 'n2' } }), { code: 'wrong_directory' });
  t.is(other.asked, 0);
});

test('a controller that is too far apart in version makes the next one be asked, and is what is told when none answers', async (t) => {
  const mismatch = '{"code":"version_mismatch","fields":{"ours":{"version":9,"oldest":9}}}';
  const newer = await controller(t, (response) => response.writeHead(409, { 'content-type': 'application/json' }).end(mismatch));
  const good = await controller(t, answerAbort);
  t.deepEqual(await make(t, [newer, good], NEVER_MS).settle(QUESTION), { outcome: 'abort' });
  const error = await t.throwsAsync(make(t, [newer, { url: 'http://127.0.0.1:9' }], NEVER_MS).settle(QUESTION), { code: 'version_mismatch' });
  t.like(error, { fields: { url: newer.url, ours: { version: 9, oldest: 9 } } });
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
