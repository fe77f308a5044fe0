import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '@trivet/proto/clock.ts';
import { running, startGit } from '../git/process.ts';
import type { Replica } from '../repository/replica.ts';
import { TestNode, TestRepository, TOKEN } from '../test-node.ts';
import { combine, install } from './combine.ts';
import { isProven, readRetired } from './retired.ts';
import { work, type Workbench, type Worked } from './work.ts';

test('the packs of many pushes become few, of geometric sizes, and nothing but their names has changed', async (t) => {
  const { node, repository } = await pushed(t, 100);
  const before = objects(node, repository);
  const position = await node.position(repository.id);
  t.deepEqual(await maintain(node, repository), { before: 100, after: 1 });
  for (let i = 0; i < 30; i++) await repository.push([node]);
  await maintain(node, repository);
  t.is(packs(node, repository).length, 2, '390 objects in all, and 90');
  t.deepEqual(new Set(objects(node, repository)).intersection(new Set(before)).size, before.length);
  t.is((await node.position(repository.id)).generation, position.generation + 30);
  await sound(t, node, repository);
});

test('what is whole becomes one pack, with bitmaps for what its commits reach, and a commit graph', async (t) => {
  const { node, repository } = await pushed(t, 20);
  await maintain(node, repository, { whole: true });
  t.is(packs(node, repository).length, 1);
  const files = readdirSync(join(node.gitDir(repository.id), 'objects', 'pack'));
  t.true(files.includes('multi-pack-index'));
  t.true(files.some((file) => file.endsWith('.bitmap')));
  t.true(files.some((file) => file.endsWith('.rev')));
  t.is(node.git(repository.id, 'commit-graph', 'verify'), '');
  t.regex(node.git(repository.id, 'rev-list', '--objects', '--use-bitmap-index', '--count', 'main'), /^60$/);
  await sound(t, node, repository);
});

test('pushes and questions go on from what they know while packs go, and an absent object stays absent', async (t) => {
  const { node, repository } = await pushed(t, 60);
  const tips = [...repository.tips.values()];
  let going = true;
  let pushes = 0;
  const pushing = (async () => {
    while (going) {
      await repository.push([node]);
      pushes += 1;
    }
  })();
  for (let i = 0; i < 5; i++) await maintain(node, repository);
  going = false;
  await pushing;
  t.true(pushes > 0);
  const types = await node.context.readers.store(node.gitDir(repository.id), 'sha1').types([...tips, '1'.repeat(40)]);
  t.deepEqual(types, [...tips.map(() => 'commit' as const), undefined]);
  await sound(t, node, repository);
});

test('a vote whose objects lean on a pack that goes is prepared and committed as if nothing had been', async (t) => {
  const { node, repository } = await pushed(t, 60);
  const { transaction, generation } = await repository.voteOn(node);
  await maintain(node, repository);
  await node.context.replicas.use(repository.id, async (replica) => {
    const prepared = await node.context.participant.prepare(replica, { batch: 'b'.repeat(32), transactions: [transaction], generation, coordinator: '0'.repeat(32) });
    t.true(prepared.promised);
    await node.context.participant.commit(replica, { batch: 'b'.repeat(32), after: { generation: prepared.generation, digest: prepared.after } });
  });
  await sound(t, node, repository);
});

test('packs stay until every git has ended that may use them, for a while at most', async (t) => {
  const { node, repository } = await pushed(t, 20);
  const reader = node.context.readers.get(node.gitDir(repository.id), 'sha1');
  // A git that nobody ends, as a clone is whose client pauses.
  const clone = startGit(['cat-file', '--batch'], { gitDir: node.gitDir(repository.id) });
  let ended = false;
  const working = maintain(node, repository, { graceMs: 60_000 }).then(() => { ended = true; });
  while (await readRetired(node.gitDir(repository.id)) === undefined) await systemClock.sleep(5);
  t.is(packs(node, repository).length, 21);
  t.false(ended);
  clone.kill();
  await working;
  t.is(packs(node, repository).length, 1);
  for (let i = 0; i < 5; i++) await repository.push([node]);
  const another = startGit(['cat-file', '--batch'], { gitDir: node.gitDir(repository.id) });
  await maintain(node, repository, { graceMs: 1 }).finally(() => another.kill());
  await another.done;
  t.is(packs(node, repository).length, 2);
  t.is(reader.busy, false);
  await sound(t, node, repository);
});

test('a clone that is under way when its packs go is whole', async (t) => {
  const { node, repository } = await pushed(t, 30, 200_000);
  const into = join(node.directory, 'clone');
  const { url, release } = await stallingProxy(t, node.url, 500_000);
  const header = ['-c', `http.extraHeader=authorization: Bearer ${TOKEN}`];
  const cloning = promisify(execFile)('git', [...header, 'clone', '--bare', '-q', `${url}/repositories/${repository.id}`, into], { env: { PATH: process.env['PATH'], HOME: '/nonexistent' } as NodeJS.ProcessEnv });
  let over = false;
  void cloning.catch(() => {}).finally(() => { over = true; });
  while (![...running].some(({ spawnargs }) => spawnargs.includes('upload-pack'))) await systemClock.sleep(1);
  await maintain(node, repository, { whole: true, graceMs: 1 });
  t.false(over, 'the packs have gone while it was under way');
  t.is(packs(node, repository).length, 1);
  release();
  await cloning;
  t.is(execFileSync('git', ['rev-parse', 'main'], { cwd: into, encoding: 'utf8' }).trim(), repository.tips.get('refs/heads/main')!);
  execFileSync('git', ['fsck', '--full'], { cwd: into, stdio: 'pipe' });
});

test('control: an object that is not in the new pack keeps every old one', async (t) => {
  const { node, repository } = await pushed(t, 20);
  const names = packs(node, repository);
  const gitDir = node.gitDir(repository.id);
  const made = await combine(gitDir, names.slice(1), new AbortController().signal);
  await install(gitDir, made);
  t.true(await isProven(gitDir, { made, gone: names.slice(1) }, new AbortController().signal));
  t.false(await isProven(gitDir, { made, gone: names }, new AbortController().signal));
  t.false(await isProven(gitDir, { made, gone: [made] }, new AbortController().signal));
});

test('a pack with a flipped byte is not copied, none goes, and a check still finds it', async (t) => {
  const { node, repository } = await pushed(t, 20);
  const names = packs(node, repository);
  flip(join(node.gitDir(repository.id), 'objects', 'pack', `${names[3]}.pack`));
  await t.throwsAsync(maintain(node, repository), { code: 'git_failed' });
  t.deepEqual(packs(node, repository), names);
  t.like((await node.verify(repository.id, true)).problems[0], { kind: 'corrupt' });
});

test('loose objects, reflogs of long ago and what killed gits have left go; what is needed of them is in a pack', async (t) => {
  const { node, repository } = await pushed(t, 3);
  const gitDir = node.gitDir(repository.id);
  writeFileSync(join(gitDir, 'note'), 'by hand');
  const oid = node.git(repository.id, 'hash-object', '-w', 'note');
  rmSync(join(gitDir, 'note'));
  mkdirSync(join(gitDir, 'logs', 'refs', 'heads'), { recursive: true });
  for (const name of ['old', 'new']) writeFileSync(join(gitDir, 'logs', 'refs', 'heads', name), 'x');
  utimesSync(join(gitDir, 'logs', 'refs', 'heads', 'old'), 1, 1);
  writeFileSync(join(gitDir, 'objects', 'pack', 'tmp_pack_abc'), 'x');
  writeFileSync(join(gitDir, 'objects', 'pack', 'multi-pack-index.lock'), '');
  await maintain(node, repository, { whole: true });
  t.false(existsSync(join(gitDir, 'objects', oid.slice(0, 2))));
  t.is(node.git(repository.id, 'cat-file', '-t', oid), 'blob');
  t.deepEqual(readdirSync(join(gitDir, 'logs', 'refs', 'heads')), ['new']);
  t.false(readdirSync(join(gitDir, 'objects', 'pack')).some((file) => /tmp_|lock/.test(file)));
  await sound(t, node, repository);
});

test('without room for a copy nothing is begun', async (t) => {
  const { node, repository } = await pushed(t, 20);
  await t.throwsAsync(maintain(node, repository, { roomBytes: () => 100 }), { code: 'disk_failure' });
  t.is(packs(node, repository).length, 20);
});

test('verification finds a pack that was deleted by hand, and takes none for deleted that maintenance has combined', async (t) => {
  const { node, repository } = await pushed(t, 30);
  t.deepEqual((await node.verify(repository.id)).problems, []);
  await maintain(node, repository);
  t.deepEqual((await node.verify(repository.id)).problems, []);
  await repository.push([node]);
  const added = packs(node, repository).find((name) => statSync(join(node.gitDir(repository.id), 'objects', 'pack', `${name}.pack`)).size < 1_000)!;
  for (const suffix of ['pack', 'idx']) rmSync(join(node.gitDir(repository.id), 'objects', 'pack', `${added}.${suffix}`));
  t.true((await node.verify(repository.id)).problems.some(({ kind, detail }) => kind === 'corrupt' && detail.includes(`${added}.idx and its pack have gone`)));
});

for (const failpoint of ['maintenance-combined', 'maintenance-installed', 'maintenance-indexed', 'maintenance-graphed', 'maintenance-retired', 'maintenance-half-removed', 'maintenance-removed']) {
  test(`a node that dies at ${failpoint} starts again with a sound store, and the next maintenance ends well`, async (t) => {
    const { node, repository } = await pushed(t, 20);
    const before = objects(node, repository);
    void maintain(node, repository, { whole: true }).catch(() => {});
    await node.crashAt(failpoint);
    const again = await TestNode.start(t, { directory: node.directory });
    t.deepEqual(again.git(repository.id, 'fsck', '--full', '--no-dangling'), '');
    await sound(t, again, repository);
    t.deepEqual(objects(again, repository), before);
    t.is(await readRetired(again.gitDir(repository.id)), undefined);
    t.false(existsSync(join(again.gitDir(repository.id), 'maintenance', 'objects')));
    await repository.push([again]);
    await maintain(again, repository, { whole: true });
    t.is(packs(again, repository).length, 1);
    await sound(t, again, repository);
  });
}

test('a new pack that has vanished before the old ones went keeps them at the next start', async (t) => {
  const { node, repository } = await pushed(t, 20);
  void maintain(node, repository, { whole: true }).catch(() => {});
  await node.crashAt('maintenance-retired');
  const { made, gone } = (await readRetired(node.gitDir(repository.id)))!;
  truncateSync(join(node.gitDir(repository.id), 'objects', 'pack', `${made}.idx`), 0);
  const again = await TestNode.start(t, { directory: node.directory });
  t.is(gone.length, 20);
  for (const name of gone) t.true(existsSync(join(again.gitDir(repository.id), 'objects', 'pack', `${name}.pack`)));
});

async function pushed(t: ExecutionContext, pushes: number, fileBytes = 100) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  for (let i = 0; i < pushes; i++) await repository.push([node], { fileBytes });
  return { node, repository };
}

function maintain(node: TestNode, { id }: TestRepository, options: Partial<Workbench> & { whole?: boolean } = {}): Promise<Worked> {
  const { replicas, readers, failpoint } = node.context;
  return replicas.use(id, (replica: Replica) => work({
    replica, signal: new AbortController().signal, clock: systemClock, failpoint, graceMs: 5_000,
    roomBytes: () => Infinity, quiet: async () => {}, onStep: () => {},
    onReplaced: (gone, come) => readers.replaced(replica.gitDir, gone, come),
    ...options,
  }, options.whole ?? false));
}

async function sound(t: ExecutionContext, node: TestNode, { id }: TestRepository): Promise<void> {
  const verified = await node.verify(id, true);
  t.deepEqual(verified.problems, []);
  t.is(verified.diskDigest, verified.digest);
}

function objects(node: TestNode, { id }: TestRepository): string[] {
  return node.git(id, 'cat-file', '--batch-all-objects', '--batch-check=%(objectname)').split('\n').sort();
}

function packs(node: TestNode, { id }: TestRepository): string[] {
  return readdirSync(join(node.gitDir(id), 'objects', 'pack')).filter((file) => file.endsWith('.idx')).map((file) => file.slice(0, -4)).sort();
}

function flip(path: string): void {

  const bytes = readFileSync(path);
  bytes[40]! ^= 1;
  chmodSync(path, 0o644);
  writeFileSync(path, bytes);
}

/** A way to a node on which answers stop after so many bytes of a connection, until they are released. */
async function stallingProxy(t: ExecutionContext, to: string, afterBytes: number): Promise<{ url: string; release: () => void }> {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const sockets = new Set<Socket>();
  const proxy = createServer((client) => {
    const server = connect(Number(new URL(to).port), '127.0.0.1');
    for (const socket of [client, server]) sockets.add(socket.on('error', () => {}));
    client.pipe(server);
    void pipeline(server, async function* (answers: AsyncIterable<Buffer>) {
      let bytes = 0;
      for await (const chunk of answers) {
        bytes += chunk.length;
        if (bytes > afterBytes) await released;
        yield chunk;
      }
    }, client).catch(() => {});
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => {
    release();
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  return { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, release };
}
