import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import test, { type ExecutionContext } from 'ava';
import { Network } from './network.ts';

test('bytes pass, wait while they are held one way, and arrive in order when that ends', async (t) => {
  const { network, client } = await echoBehindProxy(t);
  client.write('1');
  t.is(await next(client), '1');
  network.cut('a', 'b', 'hold-answers');
  client.write('2');
  client.write('3');
  const late = next(client, 2);
  // What another link carries meanwhile has its answer: the bytes above were not just slow.
  const other = await open(t, network, 'c');
  other.write('x');
  t.is(await next(other), 'x');
  t.is(client.readableLength, 0);
  network.link('a', 'b').heal();
  t.is(await late, '23');
});

test('a refusing cut breaks what is open and lets nothing new in, until it ends', async (t) => {
  const { network, client } = await echoBehindProxy(t);
  client.write('1');
  await next(client);
  const closed = hasClosed(client);
  network.cut('a', 'b', 'refuse');
  await closed;
  const port = await network.open('a', 'b', PORTS.get(network)!);
  await hasClosed(connect({ port, host: '127.0.0.1' }).on('error', () => {}));
  network.healAll();
  const again = await open(t, network, 'a');
  again.write('2');
  t.is(await next(again), '2');
});

test('half a connection may end before the other', async (t) => {
  const { client } = await echoBehindProxy(t);
  client.end('whole');
  t.is(await next(client, 5), 'whole');
  await once(client, 'end');
});

test('a peer behind a shared address is known by its process; a stranger is refused and told of', async (t) => {
  const parts = new Map([['a', process.pid]]);
  const strangers: string[] = [];
  const network = new Network(() => parts, (to) => { strangers.push(to); });
  const port = await network.open(undefined, 'b', await echo(t));
  t.teardown(() => network.close());
  const known = await dial(t, port);
  known.write('1');
  t.is(await next(known), '1');
  t.deepEqual(network.links.map(({ from, to }) => `${from}→${to}`), ['a→b']);
  parts.clear();
  const stranger = await dial(t, port);
  await hasClosed(stranger);
  t.deepEqual(strangers, ['b']);
});

const PORTS = new WeakMap<Network, number>();

async function echoBehindProxy(t: ExecutionContext): Promise<{ network: Network; client: Socket }> {
  const network = new Network(() => new Map());
  t.teardown(() => network.close());
  PORTS.set(network, await echo(t));
  return { network, client: await open(t, network, 'a') };
}

async function open(t: ExecutionContext, network: Network, from: string): Promise<Socket> {
  return dial(t, await network.open(from, 'b', PORTS.get(network)!));
}

async function dial(t: ExecutionContext, port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => {});
  t.teardown(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

async function echo(t: ExecutionContext): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {}).pipe(socket)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Not `once`: that would take the reset for a failure of the test. */
function hasClosed(socket: Socket): Promise<void> {
  return new Promise((resolve) => { socket.once('close', () => resolve()); });
}

/** The next bytes, `count` of them. */
async function next(socket: Socket, count = 1): Promise<string> {
  let text = '';
  while (text.length < count) {
    const chunk = socket.read() as Buffer | null;
    if (chunk === null) await once(socket, 'readable');
    else text += chunk.toString();
  }
  return text;
}
