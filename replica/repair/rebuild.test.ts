import { existsSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer, connect, type Socket } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import test, { registerCompletionHandler, type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import type { ReplicaPosition } from '@trivet/proto/messages.ts';
import { readReplicaRecord } from '../repository/position-file.ts';
import { TestNode, TestRepository } from '../test-node.ts';

const JOB = newId();

// Nodes that have "crashed" wait at their failpoint for ever, and would keep this process.
registerCompletionHandler(() => process.exit());

test('a replica is built beside the old one while that one still answers, and takes its place in the last round', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const before = await target.position(repository.id);
  const brought = await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
  t.like(brought, { ...before, objects: 12 });
  t.deepEqual(besides(target, repository), [`${repository.id}.git`, `${repository.id}.git.rebuilding-${JOB}`]);
  t.deepEqual((await target.context.replicas.ids()), [repository.id], 'it is no replica yet');
  await finish(t, source, target, repository);
});

test('nothing to transfer: a second round, and the last one, bring nothing', async (t) => {
  const { source, target, repository } = await corrupted(t);
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
  t.like(await target.repair(repository.id, source, { way: 'rebuild', job: JOB }), { objects: 0, bytes: 0 });
  t.like(await lastRound(source, target, repository), { objects: 0, bytes: 0 });
});

test('a replica that is missing, or whose refs and record can not be read, is rebuilt; what was there is kept until it is admitted', async (t) => {
  for (const [damage, isKept] of [
    [(gitDir: string) => rmSync(gitDir, { recursive: true }), false],
    [(gitDir: string) => writeFileSync(join(gitDir, 'HEAD'), 'nonsense'), true],
    [(gitDir: string) => writeFileSync(join(gitDir, 'trivet.json'), '{"gen'), true],
  ] as const) {
    const { source, target, repository } = await corrupted(t);
    damage(target.gitDir(repository.id));
    target.context.replicas.reopen(repository.id);
    await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
    await lastRound(source, target, repository);
    t.is(existsSync(`${target.gitDir(repository.id)}.replaced-${JOB}`), isKept);
    await finish(t, source, target, repository);
  }
});

test('a directory that is another repository\'s is put aside, not written over', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const record = readFileSync(join(target.gitDir(repository.id), 'trivet.json'), 'utf8');
  writeFileSync(join(target.gitDir(repository.id), 'trivet.json'), record.replace(repository.id, newId()));
  await t.throwsAsync(target.verify(repository.id), { code: 'replica_missing' });
  await t.throwsAsync(target.repair(repository.id, source, {}), { code: 'replica_missing' });
  await finish(t, source, target, repository);
});

for (const [failpoint, whole] of [
  ['swap-flushed', 'old'], ['swap-journaled', 'old'], ['swap-between', 'old'], ['swap-done', 'new'],
] as const) {
  test(`a crash at ${failpoint} leaves the ${whole} replica, whole, and the repair can be done again`, async (t) => {
    const { source, target, repository } = await corrupted(t, { damage: false });
    const before = await target.position(repository.id);
    const after = await source.position(repository.id);
    await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
    void lastRound(source, target, repository);
    await target.crashAt(failpoint);
    const again = await TestNode.start(t, { directory: target.directory });
    t.deepEqual(await again.position(repository.id), whole === 'old' ? before : after);
    t.like(await again.verify(repository.id, true), { problems: [] });
    const expected = whole === 'old' ? `${repository.id}.git.rebuilding-${JOB}` : `${repository.id}.git.replaced-${JOB}`;
    t.deepEqual(besides(again, repository), [`${repository.id}.git`, expected]);
    if (whole === 'old') t.like(await again.repair(repository.id, source, { way: 'rebuild', job: JOB }), { objects: 0 });
    await finish(t, source, again, repository);
  });
}

test('control: without the undoing of a half swap nothing would be in the replica\'s place', async (t) => {
  const { source, target, repository } = await corrupted(t);
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
  void lastRound(source, target, repository);
  await target.crashAt('swap-between');
  t.false(existsSync(target.gitDir(repository.id)));
});

test('a swap that fails half-way is gone on with by the next round', async (t) => {
  const { source, target, repository } = await corrupted(t);
  writeFileSync(join(target.directory, 'failpoints', 'swap-between'), 'error the disk says no');
  await t.throwsAsync(lastRound(source, target, repository), { message: /the disk says no/ });
  await finish(t, source, target, repository);
});

test('an older replaced replica does not come back when the one that replaced it is lost', async (t) => {
  const { source, target, repository } = await corrupted(t);
  await lastRound(source, target, repository);
  await target.stop();
  rmSync(target.gitDir(repository.id), { recursive: true });
  const again = await TestNode.start(t, { directory: target.directory });
  t.deepEqual(await again.context.replicas.ids(), []);
  await finish(t, source, again, repository);
});

test('promises that were made before are not made so again on what was rebuilt', async (t) => {
  const { source, target, repository } = await corrupted(t, { damage: false });
  await repository.push([source]);
  await finish(t, source, target, repository);
  const position = await target.position(repository.id);
  await target.stop();
  const again = await TestNode.start(t, { directory: target.directory });
  t.deepEqual(await again.position(repository.id), position);
});

test('votes of the replica that was replaced are forgotten', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const old = await target.context.replicas.use(repository.id, async (replica) => replica);
  let discarded = 0;
  old.votes.set('t', { quarantine: { discard: async () => { discarded += 1; } } } as never);
  await lastRound(source, target, repository);
  t.is(discarded, 1);
  t.true(old.retired);
});

test('a connection that breaks in the middle of a pack is made anew, and the pack goes on where it was', async (t) => {
  const { source, target, repository } = await large(t);
  const proxy = await flaky(t, source, 60_000);
  const ranges = rangesAsked(source);
  await target.repair(repository.id, proxy, { way: 'rebuild', job: JOB });
  const froms = ranges().map((range) => Number(/\d+/.exec(range)![0]));
  t.true(froms.length >= 2, 'it broke several times');
  t.deepEqual(froms, froms.toSorted((a, b) => a - b), 'and each time went on further on');
  await finish(t, source, target, repository);
});

test('a round that was stopped in the middle of a pack is gone on with, also after a restart of the node', async (t) => {
  const { source, target, repository } = await large(t);
  const leaving = new AbortController();
  const round = target.repair(repository.id, source, { way: 'rebuild', job: JOB, bytesPerSecond: 200_000 }, leaving.signal);
  await until(() => partial(target, repository) > 20_000);
  leaving.abort();
  await t.throwsAsync(round);
  const kept = partial(target, repository);
  await target.stop();
  const again = await TestNode.start(t, { directory: target.directory });
  t.is(partial(again, repository), kept);
  const ranges = rangesAsked(source);
  const later = newId();
  await again.repair(repository.id, source, { way: 'rebuild', job: later });
  t.deepEqual(ranges(), [`bytes=${kept}-`], 'what was there is not asked for again, though the job is another');
  t.deepEqual(besides(again, repository), [`${repository.id}.git`, `${repository.id}.git.rebuilding-${later}`]);
  await finish(t, source, again, repository, later);
});

for (const [how, spoil] of [
  ['ends in zeros', (path: string) => { truncateSync(path, 10_000); truncateSync(path, 20_000); }],
  ['has a flipped bit', (path: string) => flip(path, 5_000)],
  ['is longer than the pack', (path: string) => truncateSync(path, 10_000_000)],
] as const) {
  test(`a part of a pack that ${how}, as after a loss of power, is brought anew`, async (t) => {
    const { source, target, repository } = await large(t);
    const leaving = new AbortController();
    const round = target.repair(repository.id, source, { way: 'rebuild', job: JOB, bytesPerSecond: 200_000 }, leaving.signal);
    await until(() => partial(target, repository) > 20_000);
    leaving.abort();
    await t.throwsAsync(round);
    spoil(partialPath(target, repository)!);
    await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
    await finish(t, source, target, repository);
  });
}

for (const suffix of ['.pack', '.idx']) {
  test(`a ${suffix} that is damaged at the source is not taken, and named`, async (t) => {
    const { source, target, repository } = await large(t);
    const [name] = readdirSync(join(source.gitDir(repository.id), 'objects/pack')).filter((file) => file.endsWith(suffix));
    flip(join(source.gitDir(repository.id), 'objects/pack', name!), 500);
    const error = await t.throwsAsync(target.repair(repository.id, source, { way: 'rebuild', job: JOB }), { code: 'repair_failed' });
    t.like(error, { fields: { file: name } });
    t.false((await target.context.replicas.ids()).length > 1);
  });
}

test('an index that is sound, and another pack\'s, is not taken', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const directory = join(source.gitDir(repository.id), 'objects/pack');
  const [one, two] = readdirSync(directory).filter((file) => file.endsWith('.idx'));
  writeFileSync(join(directory, 'x'), readFileSync(join(directory, one!)));
  rmSync(join(directory, two!));
  writeFileSync(join(directory, two!), readFileSync(join(directory, 'x')));
  await t.throwsAsync(target.repair(repository.id, source, { way: 'rebuild', job: JOB }), { code: 'repair_failed' });
});

test('a source with all packs sound that lacks an object is found out before its replica takes a place', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const directory = join(source.gitDir(repository.id), 'objects/pack');
  const [name] = readdirSync(directory).filter((file) => file.endsWith('.pack')).map((file) => file.slice(0, -5));
  for (const suffix of ['.pack', '.idx']) rmSync(join(directory, `${name}${suffix}`));
  const error = await t.throwsAsync(lastRound(source, target, repository));
  t.true(['repair_failed', 'git_failed'].includes((error as Error & { code: string }).code));
  t.false(existsSync(`${target.gitDir(repository.id)}.replaced-${JOB}`));
});

test('what a source has outside packs is not forgotten', async (t) => {
  const { source, target, repository } = await corrupted(t);
  const gitDir = source.gitDir(repository.id);
  const tree = source.git(repository.id, 'rev-parse', 'main^{tree}');
  const { spawnSync } = await import('node:child_process');
  const env = { ...process.env, GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b' };
  const loose = spawnSync('git', ['commit-tree', tree, '-m', 'loose'], { cwd: gitDir, env, encoding: 'utf8' }).stdout.trim();
  await source.context.replicas.saveRecords();
  source.git(repository.id, 'update-ref', 'refs/heads/loose', loose);
  source.context.replicas.reopen(repository.id);
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
  await finish(t, source, target, repository);
  t.is(target.git(repository.id, 'rev-parse', 'loose'), loose);
});

test('the round that brings the refs brings what was pushed since, too', async (t) => {
  const { source, target, repository } = await corrupted(t);
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB });
  await repository.push([source]);
  t.like(await lastRound(source, target, repository), { objects: 3 });
  await finish(t, source, target, repository);
});

test('a sha256 repository is rebuilt as one', async (t) => {
  const { source, target, repository } = await corrupted(t, { repository: new TestRepository('sha256') });
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB, objectFormat: 'sha256' });
  await target.repair(repository.id, source, { way: 'rebuild', job: JOB, objectFormat: 'sha256', round: 'refs', expect: await source.position(repository.id) });
  t.like(await target.verify(repository.id, true), { ...await source.position(repository.id), problems: [] });
});

test('all packs together keep to the bytes a second they were given', async (t) => {
  const { source, target, repository } = await large(t, 4);
  let most = 0;
  const startedAt = performance.now();
  const leaving = new AbortController();
  const round = target.repair(repository.id, source, { way: 'rebuild', job: JOB, bytesPerSecond: 50_000 }, leaving.signal);
  await until(() => {
    const bytes = target.context.repair.progressOf(repository.id)?.bytes ?? 0;
    const seconds = (performance.now() - startedAt) / 1000;
    // One chunk of each of the packs on their way may be ahead of its time.
    most = Math.max(most, bytes - seconds * 50_000);
    return bytes > 150_000;
  });
  leaving.abort();
  await t.throwsAsync(round);
  t.true(most < 50_000, `${most} bytes ahead`);
});

test('admitted for this job: only what it has set aside goes', async (t) => {
  const { source, target, repository } = await corrupted(t);
  await lastRound(source, target, repository);
  await target.context.repair.discard(repository.id, newId());
  t.true(existsSync(`${target.gitDir(repository.id)}.replaced-${JOB}`));
  const response = await target.request('DELETE', `/repositories/${repository.id}/repair?job=${JOB}`);
  t.is(response.status, 200);
  t.deepEqual(besides(target, repository), [`${repository.id}.git`]);
});

/** Two nodes with a repository; the second missed one push and, unless told otherwise, has a damaged pack. */
async function corrupted(t: ExecutionContext, options: { damage?: boolean; repository?: TestRepository } = {}) {
  const { damage = true, repository = new TestRepository() } = options;
  const source = await TestNode.start(t);
  const target = await TestNode.start(t);
  await repository.createOn(source, target);
  for (let i = 0; i < 3; i++) await repository.push([source, target]);
  await repository.push([source]);
  const directory = join(target.gitDir(repository.id), 'objects/pack');
  if (damage) flip(join(directory, readdirSync(directory).find((file) => file.endsWith('.pack'))!), 40);
  return { source, target, repository };
}

/** Packs of some 150 KB on the first node, nothing on the second. */
async function large(t: ExecutionContext, number = 1) {
  const source = await TestNode.start(t);
  const target = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(source, target);
  for (let i = 0; i < number; i++) await repository.push([source], { fileBytes: 200_000 });
  return { source, target, repository };
}

async function lastRound(source: TestNode, target: TestNode, repository: TestRepository, job = JOB) {
  return target.repair(repository.id, source, { way: 'rebuild', job, round: 'refs', expect: await source.position(repository.id) });
}

/** The last round, and what must be true after it. */
async function finish(t: ExecutionContext, source: TestNode, target: TestNode, repository: TestRepository, job = JOB): Promise<void> {
  const position: ReplicaPosition = await source.position(repository.id);
  t.like(await lastRound(source, target, repository, job), position);
  t.deepEqual(await target.position(repository.id), position);
  t.like(await readReplicaRecord(target.gitDir(repository.id)), position);
  t.like(await target.verify(repository.id, true), { diskDigest: position.digest, problems: [] });
  await target.context.repair.discard(repository.id);
  t.deepEqual(besides(target, repository), [`${repository.id}.git`]);
}

function besides(node: TestNode, repository: TestRepository): string[] {
  return readdirSync(dirname(node.gitDir(repository.id))).sort();
}

function partialPath(node: TestNode, repository: TestRepository): string | undefined {
  const [building] = readdirSync(dirname(node.gitDir(repository.id))).filter((name) => name.includes('.rebuilding-'));
  if (building === undefined) return undefined;
  const incoming = join(dirname(node.gitDir(repository.id)), building, 'incoming');
  const file = existsSync(incoming) ? readdirSync(incoming).find((name) => name.endsWith('.pack')) : undefined;
  return file && join(incoming, file);
}

function partial(node: TestNode, repository: TestRepository): number {
  const path = partialPath(node, repository);
  return path === undefined ? 0 : statSync(path).size;
}

/** The Range headers a node has been sent since. */
function rangesAsked(node: TestNode): () => string[] {
  const ranges: string[] = [];
  node.app.server.on('request', (request: { headers: { range?: string } }) => { if (request.headers.range !== undefined) ranges.push(request.headers.range); });
  return () => ranges;
}

/** Passes connections on to a node, and cuts each after so many bytes of its answers. */
async function flaky(t: ExecutionContext, node: TestNode, bytes: number): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const upstream = connect(Number(new URL(node.url).port), '127.0.0.1');
    sockets.add(client).add(upstream);
    let left = bytes;
    upstream.on('data', (chunk: Buffer) => {
      client.write(chunk.subarray(0, left));
      left -= chunk.length;
      if (left <= 0) {
        client.destroySoon();
        upstream.destroy();
      }
    });
    client.pipe(upstream);
    for (const socket of [client, upstream]) socket.on('error', () => {}).on('close', () => { client.destroy(); upstream.destroy(); });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  rmSync(path);
  writeFileSync(path, bytes);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve, 2); });
}
