import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTcpServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { lockDirectory, DirectoryInUse } from './lock.ts';
import { joinCluster, ownerOf, WrongDirectory } from './owner.ts';

const MAIN = resolve(import.meta.dirname, '../main.ts');

test('a directory without a name becomes the first one\'s who starts on it, and stays so', async (t) => {
  const directory = temporaryDirectory(t);
  t.deepEqual(await ownerOf(directory, 'node1'), { node: 'node1' });
  t.deepEqual(await ownerOf(directory, 'node2'), { node: 'node1' });
});

test('a directory says which cluster it belongs to, once its node has joined one', async (t) => {
  const directory = temporaryDirectory(t);
  const owner = await ownerOf(directory, 'node1');
  const cluster = 'c'.repeat(32);
  await joinCluster(directory, owner, cluster);
  t.deepEqual(await ownerOf(directory, 'node1'), { node: 'node1', cluster });
});

test('a name that can not be read is nobody\'s, and stays as it is', async (t) => {
  const directory = temporaryDirectory(t);
  for (const text of ['', '{', '{"node":7}', '{"node":"../x"}']) {
    writeFileSync(join(directory, 'node.json'), text);
    await t.throwsAsync(ownerOf(directory, 'node1'), { instanceOf: WrongDirectory });
    t.is(readFileSync(join(directory, 'node.json'), 'utf8'), text);
  }
});

test('a lock keeps others away until it is given back', async (t) => {
  const directory = temporaryDirectory(t);
  const lock = await lockDirectory(directory);
  await t.throwsAsync(lockDirectory(directory), { instanceOf: DirectoryInUse, message: new RegExp(directory) });
  await lock.close();
  await (await lockDirectory(directory)).close();
});

test('two processes on one directory: the second doesn\'t start; after kill -9 of the first the next one does', async (t) => {
  const directory = temporaryDirectory(t);
  const controller = await fakeController(t);
  const first = await start(t, directory, 'node1', controller.url);
  await first.ready;
  const second = await start(t, directory, 'node1', controller.url);
  t.deepEqual(await second.ended, { code: 1, signal: null });
  t.regex(second.errors(), new RegExp(`another process uses the data directory ${directory}`));
  t.is(await health(first.url), 200, 'the first one still serves');
  first.child.kill('SIGKILL');
  await first.ended;
  const third = await start(t, directory, 'node1', controller.url);
  await third.ready;
  t.is(await health(third.url), 200);
});

(process.getuid?.() === 0 ? test : test.skip)('a node whose disk is full when it starts says so in one line', async (t) => {
  const directory = temporaryDirectory(t);
  t.is(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', directory]).status, 0);
  t.teardown(() => spawnSync('umount', [directory]));
  t.throws(() => writeFileSync(join(directory, 'filling'), Buffer.alloc(1024 * 1024)), { code: 'ENOSPC' });
  const node = await start(t, directory, 'node1', 'http://127.0.0.1:1');
  t.deepEqual(await node.ended, { code: 1, signal: null });
  t.regex(node.errors(), /^the data directory can not be used: ENOSPC[^\n]*\n$/);
});

for (const reachable of [true, false]) {
  test(`a node on another one's directory ends, names both and has changed nothing${reachable ? ', and a controller has heard of it' : ', though no controller answers'}`, async (t) => {
    const directory = temporaryDirectory(t);
    const controller = await fakeController(t);
    const owner = await start(t, directory, 'node1', controller.url);
    await owner.ready;
    owner.child.kill('SIGTERM');
    t.deepEqual(await owner.ended, { code: 0, signal: null });
    writeFileSync(join(directory, 'cache', 'kept'), 'x');
    const before = tree(directory);
    const stranger = await start(t, directory, 'node2', reachable ? controller.url : 'http://127.0.0.1:9');
    t.deepEqual(await stranger.ended, { code: 1, signal: null });
    t.regex(stranger.errors(), /this is node2, but the data directory \S+ belongs to node1; nothing in it was changed/);
    t.deepEqual(tree(directory), before);
    const told = controller.handshakes.filter(({ node }) => node === 'node2');
    t.is(told.length, reachable ? 1 : 0);
    if (reachable) t.like(told[0], { directory: { node: 'node1' } });
  });
}

test('a node with its own directory that a controller refuses all the same ends too, instead of asking for ever', async (t) => {
  const directory = temporaryDirectory(t);
  const controller = await fakeController(t, () => true);
  const node = await start(t, directory, 'node1', controller.url);
  t.deepEqual(await node.ended, { code: 1, signal: null });
  t.regex(node.errors(), /the data directory belongs to another node/);
  t.true(existsSync(join(directory, 'node.json')));
});

/** Says yes to everything, but refuses a node on another one's directory, as a controller does. */
async function fakeController(t: ExecutionContext, refuses = (message: { node: string; directory: { node: string } }) => message.node !== message.directory.node) {
  const handshakes: { node: string; directory: { node: string } }[] = [];
  const server = createServer((request, response) => {
    void request.toArray().then((chunks: Buffer[]) => {
      const message = JSON.parse(Buffer.concat(chunks).toString()) as { node: string; directory: { node: string } };
      if (request.url === '/internal/handshake') handshakes.push(message);
      const refused = request.url === '/internal/handshake' && refuses(message);
      response.writeHead(refused ? 409 : 200, { 'content-type': 'application/json' });
      response.end(refused ? '{"code":"wrong_directory","message":"","retry":false,"fields":{}}' : '{}');
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => { server.closeAllConnections(); server.close(); });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, handshakes };
}

async function start(t: ExecutionContext, directory: string, node: string, controllers: string) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [MAIN], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env['PATH'], TRIVET_NODE: node, TRIVET_PORT: String(port), TRIVET_DIRECTORY: directory, TRIVET_CONTROLLERS: controllers, TRIVET_TOKEN: 'token-of-the-directory-test' },
  });
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => { errors += chunk.toString(); });
  const ended = once(child, 'close').then(([code, signal]) => ({ code: code as number | null, signal: signal as string | null }));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
  });
  const serves = async () => {
    while (await health(url) !== 200) {
      if (child.exitCode !== null) throw new Error(errors);
      await new Promise((done) => { setTimeout(done, 20); });
    }
  };
  // Asked for only by who expects it to serve.
  return { child, url, ended, errors: () => errors, get ready() { return serves(); } };
}

async function health(url: string): Promise<number> {
  return fetch(`${url}/readyz`).then((response) => response.status, () => 0);
}

async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Every file with its size and when it was last changed. */
function tree(directory: string): [string, number, number][] {
  return (readdirSync(directory, { recursive: true }) as string[]).sort().map((path) => {
    const { size, mtimeMs } = statSync(join(directory, path));
    return [path, size, mtimeMs];
  });
}

function temporaryDirectory(t: ExecutionContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'trivet-directory-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
