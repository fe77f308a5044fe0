import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import Type from 'typebox';
import { Api } from './api.ts';
import { Interrupted, Refused, Unreachable } from './faults.ts';

const Answer = Type.Object({ count: Type.Integer() });
const never = new AbortController().signal;
const refusal = (code: string) => JSON.stringify({ code, message: 'no', retry: true, fields: { node: 'node1' } });

/** A service that answers as it is told, for as long as the test runs. Returns its URL and what it was asked. */
async function service(t: ExecutionContext, answer: RequestListener) {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    answer(request, response);
  });
  await new Promise<void>((done) => { server.listen(0, '127.0.0.1', done); });
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, server };
}

const json = (body: unknown, status = 200): RequestListener => (_request, response) => {
  response.writeHead(status, { 'content-type': 'application/json' }).end(typeof body === 'string' ? body : JSON.stringify(body));
};

function apiOf(t: ExecutionContext, urls: readonly string[], signal = never, answerMs?: number): Api {
  const api = new Api(urls, signal, answerMs);
  t.teardown(() => api.close());
  return api;
}

/** The URL of a port on which nobody listens. */
async function nobody(t: ExecutionContext): Promise<string> {
  const { url, server } = await service(t, () => {});
  await new Promise((done) => { server.close(done); });
  return url;
}

test('a query has what is given, and nothing that isn\'t', async (t) => {
  const { url, asked } = await service(t, json({ count: 1 }));
  t.deepEqual(await apiOf(t, [url]).get(Answer, '/x', { repository: 'a/b c', limit: 5, open: false, node: undefined }), { count: 1 });
  t.deepEqual(asked, ['GET /x?repository=a%2Fb+c&limit=5&open=false']);
});

test('a URL may have a path and a slash at its end, and a password for a proxy in front', async (t) => {
  let authorization: string | undefined;
  const { url, asked } = await service(t, (request, response) => {
    authorization = request.headers.authorization;
    json({ count: 1 })(request, response);
  });
  await apiOf(t, [`${url.replace('//', '//ann:se%20cret@')}/trivet/`]).get(Answer, '/x');
  t.deepEqual(asked, ['GET /trivet/x']);
  t.is(authorization, `Basic ${Buffer.from('ann:se cret').toString('base64')}`);
});

test('a password is never shown', async (t) => {
  const url = (await nobody(t)).replace('//', '//ann:secret@');
  const error = await t.throwsAsync(apiOf(t, [url]).get(Answer, '/x'), { instanceOf: Unreachable });
  t.notRegex(error.message, /secret|ann/);
});

test('the first controller that answers is asked, and asked first from then on', async (t) => {
  const dead = await nobody(t);
  const { url, asked } = await service(t, json({ count: 1 }));
  const other = await service(t, json({ count: 2 }));
  const api = apiOf(t, [dead, url, other.url]);
  for (let i = 0; i < 3; i++) t.deepEqual(await api.get(Answer, '/x'), { count: 1 });
  t.is(asked.length, 3);
  t.deepEqual(other.asked, []);
});

test('when none answers, every one is named with what is wrong with it', async (t) => {
  const dead = await nobody(t);
  const web = await service(t, (_request, response) => { response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>not here</h1>'); });
  const api = apiOf(t, [dead, web.url, 'http://no-such-host.invalid:1']);
  const error = await t.throwsAsync(api.get(Answer, '/x'), { instanceOf: Unreachable });
  t.regex(error.message, /refuses connections/);
  t.regex(error.message, /doesn't answer like a Trivet controller \(HTTP status 404, text\/html\)/);
  t.regex(error.message, /no-such-host/);
});

test('an error of the cluster is told with its code and particulars', async (t) => {
  const { url } = await service(t, json(refusal('no_quorum'), 500));
  const error = await t.throwsAsync(apiOf(t, [url]).get(Answer, '/x'), { instanceOf: Refused });
  t.is(error.message, 'no (no_quorum); node: node1');
  t.is(error.status, 500);
});

test('a controller that is shutting down leaves a question to the next, and is believed when there is none', async (t) => {
  const leaving = await service(t, json(refusal('shutting_down'), 503));
  const { url } = await service(t, json({ count: 1 }));
  t.deepEqual(await apiOf(t, [leaving.url, url]).get(Answer, '/x'), { count: 1 });
  await t.throwsAsync(apiOf(t, [leaving.url]).get(Answer, '/x'), { instanceOf: Refused, message: /shutting_down/ });
});

test('what was asked wrongly isn\'t asked again', async (t) => {
  const first = await service(t, json(refusal('bad_request'), 400));
  const second = await service(t, json({ count: 1 }));
  await t.throwsAsync(apiOf(t, [first.url, second.url]).get(Answer, '/x'), { instanceOf: Refused });
  t.deepEqual(second.asked, []);
});

test('a request that changes something goes to the next controller only if it was never sent', async (t) => {
  const second = await service(t, json({ count: 1 }));
  t.deepEqual(await apiOf(t, [await nobody(t), second.url]).post(Answer, '/x', {}), { count: 1 });
  for (const answer of [
    (request) => { request.socket.destroy(); }, json('<html>', 502), json(refusal('store_unavailable'), 503),
  ] satisfies RequestListener[]) {
    const first = await service(t, answer);
    await t.throwsAsync(apiOf(t, [first.url, second.url]).post(Answer, '/x', {}));
    t.is(first.asked.length, 1);
  }
  t.is(second.asked.length, 1);
});

test('a question may be asked again elsewhere, whatever went wrong', async (t) => {
  const second = await service(t, json({ count: 1 }));
  for (const answer of [(request) => { request.socket.destroy(); }, json('<html>', 502)] satisfies RequestListener[]) {
    const first = await service(t, answer);
    t.deepEqual(await apiOf(t, [first.url, second.url]).get(Answer, '/x'), { count: 1 });
  }
});

test('a broken connection says that the outcome isn\'t known, where there is one', async (t) => {
  const { url } = await service(t, (request) => { request.socket.destroy(); });
  const api = apiOf(t, [url]);
  t.regex((await t.throwsAsync(api.post(Answer, '/x')))!.message, /broke the connection off .*; whether it did what was asked is not known/);
  t.notRegex((await t.throwsAsync(api.get(Answer, '/x')))!.message, /not known/);
});

test('an answer that ends half way is no answer', async (t) => {
  const { url } = await service(t, (request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': 100 }).write('{"count":');
    setImmediate(() => request.socket.destroy());
  });
  await t.throwsAsync(apiOf(t, [url]).get(Answer, '/x'), { instanceOf: Unreachable });
});

test('an answer of another shape is told with the place that differs', async (t) => {
  const { url } = await service(t, json({ count: 'many' }));
  await t.throwsAsync(apiOf(t, [url]).get(Answer, '/x'), { instanceOf: Unreachable, message: /doesn't understand \(\/count / });
});

test('fields that this CLI doesn\'t know do no harm', async (t) => {
  const { url } = await service(t, json({ count: 1, colour: 'red' }));
  t.like(await apiOf(t, [url]).get(Answer, '/x'), { count: 1 });
});

test('a controller that is silent is given up at the deadline', async (t) => {
  const { url } = await service(t, () => {});
  await t.throwsAsync(apiOf(t, [url], never, 50).get(Answer, '/x'), { instanceOf: Unreachable, message: /gave no answer within 50 ms$/ });
});

test('what takes as long as it takes has no deadline', async (t) => {
  let arrived = (_answer: () => void) => {};
  const arrival = new Promise<() => void>((done) => { arrived = done; });
  const { url } = await service(t, (request, response) => arrived(() => json({ count: 1 })(request, response)));
  const silent = await service(t, () => {});
  const asked = apiOf(t, [url], never, 20).post(Answer, '/x', {}, 0);
  const answer = await arrival;
  // When this one has been given up, the usual deadline of the other is over too.
  await t.throwsAsync(apiOf(t, [silent.url], never, 40).get(Answer, '/x'));
  answer();
  t.deepEqual(await asked, { count: 1 });
});

test('an interruption ends what is under way, and nobody else is asked', async (t) => {
  const interrupt = new AbortController();
  const first = await service(t, () => interrupt.abort());
  const second = await service(t, json({ count: 1 }));
  await t.throwsAsync(apiOf(t, [first.url, second.url], interrupt.signal).get(Answer, '/x'), { instanceOf: Interrupted });
  t.deepEqual(second.asked, []);
});
