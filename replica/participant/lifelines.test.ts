import { EventEmitter } from 'node:events';
import type { Socket } from 'node:net';
import { Agent, request as httpRequest } from 'node:http';
import test from 'ava';
import { newId } from '@trivet/proto/id.ts';
import type { Replica } from '../repository/replica.ts';
import type { Replicas } from '../repository/replicas.ts';
import type { InDoubt } from './in-doubt.ts';
import { Lifelines } from './lifelines.ts';
import { TestNode, TestRepository, TOKEN } from '../test-node.ts';

class FakeSocket extends EventEmitter {
  destroyed = false;
  close(): void {
    this.destroyed = true;
    this.emit('close');
  }
}

/** One repository's replica, and who is asked about its promise; nobody knows until `knows`. */
function makeLifelines() {
  const replica = { id: 'r', promise: undefined as { record: { batch: string } } | undefined };
  const asked: string[] = [];
  const state = { knows: true };
  const { promise: first, resolve } = Promise.withResolvers<void>();
  const inDoubt = {
    settle: async () => {
      asked.push(replica.promise!.record.batch);
      if (state.knows) {
        replica.promise = undefined;
        resolve();
      }
    },
  };
  const lifelines = new Lifelines({ opened: [replica as unknown as Replica] } as unknown as Replicas, inDoubt as unknown as InDoubt);
  return { lifelines, replica, asked, state, settled: first };
}

test('a promise whose connection closes is asked about', async (t) => {
  const { lifelines, replica, asked, settled } = makeLifelines();
  const socket = new FakeSocket();
  replica.promise = { record: { batch: 'b' } };
  lifelines.watch(socket as unknown as Socket, 'r', 'b');
  socket.close();
  await settled;
  t.deepEqual(asked, ['b']);
  t.is(lifelines.size, 0);
});

test('a connection that closed while the promise was being written is asked about too', async (t) => {
  const { lifelines, replica, asked, settled } = makeLifelines();
  const socket = new FakeSocket();
  socket.close();
  replica.promise = { record: { batch: 'b' } };
  lifelines.watch(socket as unknown as Socket, 'r', 'b');
  await settled;
  t.deepEqual(asked, ['b']);
});

test('while nobody knows it is asked again', async (t) => {
  const { lifelines, replica, asked, state, settled } = makeLifelines();
  const socket = new FakeSocket();
  replica.promise = { record: { batch: 'b' } };
  state.knows = false;
  lifelines.watch(socket as unknown as Socket, 'r', 'b');
  socket.close();
  while (asked.length < 2) await new Promise((done) => { setTimeout(done, 5); });
  state.knows = true;
  await settled;
  t.is(asked.length, 3);
});

test('a promise that ended by then, or another one, is not asked about', async (t) => {
  const { lifelines, replica, asked, settled } = makeLifelines();
  const socket = new FakeSocket();
  lifelines.watch(socket as unknown as Socket, 'r', 'ended');
  lifelines.watch(socket as unknown as Socket, 'r', 'forgotten');
  lifelines.forget('forgotten');
  replica.promise = { record: { batch: 'other' } };
  socket.close();
  // Closed later, asked later: when this one has been asked about, those above have had their turn.
  const later = new FakeSocket();
  lifelines.watch(later as unknown as Socket, 'r', 'other');
  later.close();
  await settled;
  t.deepEqual(asked, ['other']);
});

test('a kept-alive connection has one listener and no memory, however many promises it carried', (t) => {
  const { lifelines } = makeLifelines();
  const socket = new FakeSocket();
  for (let i = 0; i < 1_000; i++) {
    lifelines.watch(socket as unknown as Socket, 'r', `b${i}`);
    if (i % 2 === 0) lifelines.forget(`b${i}`);
  }
  t.is(socket.listenerCount('close'), 1);
  t.is(lifelines.size, 500);
  socket.close();
  t.is(lifelines.size, 0);
  lifelines.close();
});

test('over HTTP: the coordinator\'s connection breaks, the decision is asked for, and the promise is gone; one that was committed is not asked about', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  const asked: string[] = [];
  const { promise: settled, resolve } = Promise.withResolvers<void>();
  node.context.controllers.settle = async ({ batch }) => {
    asked.push(batch);
    resolve();
    return { outcome: 'abort' };
  };
  const coordinator = new Agent({ keepAlive: true, maxSockets: 1 });
  const committed = await prepareOver(coordinator, node, repository);
  t.is((await post(coordinator, node, `/repositories/${repository.id}/commit`, { batch: committed })).status, 200);
  const position = await node.position(repository.id);
  const doubtful = await prepareOver(coordinator, node, repository);
  const held = await (await node.request('GET', '/promises')).json() as { promises: { batch: string; repository: string; ageMs: number }[] };
  t.is(held.promises.length, 1);
  t.like(held.promises[0], { batch: doubtful, repository: repository.id });
  t.true(held.promises[0]!.ageMs >= 0);
  t.regex(await (await node.request('GET', '/metrics')).text(), /^trivet_node_promises\{[^}]*\} 1$/m);
  coordinator.destroy();
  await settled;
  t.deepEqual(asked, [doubtful]);
  await node.context.replicas.use(repository.id, (replica) => replica.exclusively(async () => {}));
  t.deepEqual(await (await node.request('GET', '/promises')).json(), { promises: [] });
  t.deepEqual(await node.position(repository.id), position);
});

/** Votes here, prepares over the agent's one connection, and gives the batch. */
async function prepareOver(agent: Agent, node: TestNode, repository: TestRepository): Promise<string> {
  const { transaction, generation } = await repository.voteOn(node);
  const batch = newId();
  const { status, body } = await post(agent, node, `/repositories/${repository.id}/prepare`, { batch, transactions: [transaction], generation });
  if (status !== 200) throw new Error(body);
  return batch;
}

function post(agent: Agent, node: TestNode, path: string, message: object): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' };
    const sent = httpRequest(`${node.url}${path}`, { method: 'POST', agent, headers }, (response) => {
      let body = '';
      response.on('data', (chunk: Buffer) => { body += chunk.toString(); });
      response.on('end', () => resolve({ status: response.statusCode!, body }));
    });
    sent.once('error', reject);
    sent.end(JSON.stringify(message));
  });
}
