import { existsSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { readReplicaRecord, writeReplicaRecord } from '../repository/position-file.ts';
import { TestNode, TestRepository } from '../test-node.ts';

test('fetch: a replica that missed pushes gets their objects, then the refs, and its digest is the source\'s', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 3 });
  const brought = await target.repair(repository.id, source, {});
  t.is(brought.generation, 2);
  t.is(brought.objects, 9);
  t.true(brought.bytes > 0);
  await finish(t, source, target, repository, 'fetch');
});

for (const [number, how] of [[3, 'few packs are copied under their names'], [200, 'many small packs come as one, by git']] as const) {
  test(`fetch: ${how}`, async (t) => {
    const { source, target, repository } = await twoNodes(t, { shared: 1, missed: number });
    t.is((await target.repair(repository.id, source, {})).objects, number * 3);
    t.is(packs(target, repository).length, number === 3 ? 4 : 2);
    await finish(t, source, target, repository, 'fetch');
  });
}

test('fetch: a later round brings only what is new, though no ref names what earlier ones brought', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 200 });
  t.is((await target.repair(repository.id, source, {})).objects, 600);
  await repository.push([source]);
  t.is((await target.repair(repository.id, source, {})).objects, 3);
  for (let i = 0; i < 150; i++) await repository.push([source]);
  t.is((await target.repair(repository.id, source, {})).objects, 450, 'by git, which hears of the objects that are here');
  t.is((await target.repair(repository.id, source, {})).objects, 0);
  t.is((await refs(source, target, repository, 'fetch')).objects, 0);
  await finish(t, source, target, repository, 'fetch');
});

test('fetch: a replica that vanished between two rounds gets everything', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 3 });
  await target.repair(repository.id, source, {});
  rmSync(target.gitDir(repository.id), { recursive: true });
  t.is((await target.repair(repository.id, source, {})).objects, 12);
  await finish(t, source, target, repository, 'fetch');
});

test('fetch: with nothing to transfer no object file is touched, and not even the list of packs is asked for', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const before = filesOf(target, repository);
  const asked: string[] = [];
  source.app.server.on('request', (request: { url: string }) => asked.push(request.url));
  t.like(await target.repair(repository.id, source, {}), { objects: 0, bytes: 0 });
  t.like(await refs(source, target, repository, 'fetch'), { objects: 0, bytes: 0 });
  t.deepEqual(filesOf(target, repository), before);
  t.false(asked.some((url) => url.endsWith('/packs')));
});

test('fetch: objects that are here already, though no ref names them, are not brought again', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const [first] = target.git(repository.id, 'rev-list', 'main').split('\n').slice(-1);
  await moveByHand(target, repository, first!);
  t.like(await target.repair(repository.id, source, {}), { objects: 0, bytes: 0 });
  await finish(t, source, target, repository, 'fetch');
});

test('fetch: refs written by hand go, stray files and locks too, and packed-refs that can not be read is written anew', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const gitDir = target.gitDir(repository.id);
  const tip = repository.tips.get('refs/heads/main')!;
  const stray = ['refs/heads/extra', 'refs/heads/left.lock', 'refs/heads/not a name', 'refs/stray', 'packed-refs.lock', 'refs/heads/gone'];
  for (const path of stray) writeFileSync(join(gitDir, path), `${path.endsWith('gone') ? 'f'.repeat(40) : tip}\n`);
  writeFileSync(Buffer.concat([Buffer.from(`${gitDir}/refs/heads/`), Buffer.from([0xff, 0xfe])]), `${tip}\n`);
  writeFileSync(join(gitDir, 'packed-refs'), '# pack-refs with: sorted \nhalf a li');
  rmSync(join(gitDir, 'refs/tags'), { recursive: true });
  await finish(t, source, target, repository, 'fetch');
  t.deepEqual(readdirSync(join(gitDir, 'refs/heads')), []);
  t.is(target.git(repository.id, 'for-each-ref'), source.git(repository.id, 'for-each-ref'));
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

test('fetch: a replica without a directory is made anew; one that only lacks its record is not', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 1 });
  rmSync(target.gitDir(repository.id), { recursive: true });
  t.like(await target.repair(repository.id, source, {}), { generation: 0, objects: 9 });
  await finish(t, source, target, repository, 'fetch');
  rmSync(join(target.gitDir(repository.id), 'trivet.json'));
  target.context.replicas.reopen(repository.id);
  await t.throwsAsync(target.repair(repository.id, source, {}), { code: 'replica_missing' });
});

test('fetch: a source that lacks an object its refs reach is not believed', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 3 });
  const lost = packs(source, repository).find((name) => !packs(target, repository).includes(name))!;
  for (const suffix of ['.pack', '.idx']) rmSync(join(source.gitDir(repository.id), 'objects/pack', `${lost}${suffix}`));
  const error = await t.throwsAsync(target.repair(repository.id, source, {}));
  t.true(['repair_failed', 'git_failed'].includes((error as Error & { code: string }).code));
  t.is((await target.position(repository.id)).generation, 1);
});

test('refs: without the position to end in the round is refused', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 1 });
  await t.throwsAsync(target.repair(repository.id, source, { round: 'refs' }), { code: 'bad_request' });
});

test('refs: a source at another position than SQL\'s is refused, naming both', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 1 });
  const position = await source.position(repository.id);
  for (const expect of [{ ...position, generation: 1 }, { ...position, digest: 'd'.repeat(64) }]) {
    const error = await t.throwsAsync(target.repair(repository.id, source, { round: 'refs', expect }), { code: 'repair_failed' });
    t.like(error, { fields: { expected: expect, got: position } });
  }
  t.is((await target.position(repository.id)).generation, 1);
});

for (const way of ['fetch', 'heal', 'rebuild'] as const) {
  test(`refs by ${way}: a replica that is ahead is never taken back, whether memory or the record says so`, async (t) => {
    const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 0 });
    const expect = await source.position(repository.id);
    await repository.push([target]);
    const ahead = await target.position(repository.id);
    await t.throwsAsync(target.repair(repository.id, source, { round: 'refs', way, expect }), { code: 'replica_ahead' });
    t.deepEqual(await target.position(repository.id), ahead);
    const { source: other, target: behind, repository: second } = await twoNodes(t, { shared: 1, missed: 0 });
    const record = (await readReplicaRecord(behind.gitDir(second.id)))!;
    await writeReplicaRecord(behind.gitDir(second.id), { ...record, generation: 7 });
    await t.throwsAsync(behind.repair(second.id, other, { round: 'refs', way, expect: await other.position(second.id) }), { code: 'replica_ahead' });
    t.true(existsSync(behind.gitDir(second.id)));
  });

  test(`${way}: a replica that holds a promise is not touched`, async (t) => {
    const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 1 });
    const expect = await source.position(repository.id);
    await target.context.replicas.use(repository.id, async (replica) => { replica.promise = { record: { batch: 'b' } } as never; });
    for (const round of ['objects', 'refs'] as const) {
      await t.throwsAsync(target.repair(repository.id, source, { round, way, expect }), { code: 'replica_busy' });
    }
  });
}

test('refs: a diverged replica at the same generation is made equal', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const [first] = target.git(repository.id, 'rev-list', 'main').split('\n').slice(-1);
  await moveByHand(target, repository, first!);
  t.not((await target.position(repository.id)).digest, (await source.position(repository.id)).digest);
  await finish(t, source, target, repository, 'fetch');
});

test('after a repair and a restart the journal\'s older promises don\'t come back', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 2 });
  await finish(t, source, target, repository, 'fetch');
  const position = await target.position(repository.id);
  await target.stop();
  const again = await TestNode.start(t, { directory: target.directory });
  t.deepEqual(await again.position(repository.id), position);
});

test('a second round for a replica is refused while one runs, and a round that is stopped makes room', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 0, missed: 1, fileBytes: 200_000 });
  const leaving = new AbortController();
  const job = newId();
  const first = target.repair(repository.id, source, { job, way: 'rebuild', bytesPerSecond: 1024 }, leaving.signal);
  await until(() => (target.context.repair.progressOf(repository.id)?.bytes ?? 0) > 0);
  t.like(target.context.repair.progressOf(repository.id), { job });
  await t.throwsAsync(target.repair(repository.id, source, {}), { code: 'replica_busy' });
  await t.throwsAsync(target.context.repair.discard(repository.id), { code: 'replica_busy' });
  leaving.abort();
  await t.throwsAsync(first);
  t.is(target.context.repair.progressOf(repository.id), undefined);
  await finish(t, source, target, repository, 'rebuild');
});

test('a replica that is removed ends its repair, and nothing is left beside it', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 0, missed: 1, fileBytes: 200_000 });
  const round = target.repair(repository.id, source, { way: 'rebuild', bytesPerSecond: 1024 });
  await until(() => (target.context.repair.progressOf(repository.id)?.bytes ?? 0) > 0);
  const [, removed] = await Promise.all([
    t.throwsAsync(round, { code: 'aborted' }), target.context.repair.stop(repository.id).then(() => target.context.replicas.remove(repository.id)),
  ]);
  t.true(removed);
  t.deepEqual(readdirSync(join(target.gitDir(repository.id), '..')), []);
});

for (const way of ['fetch', 'rebuild'] as const) {
  test(`${way}: rounds catch up with pushes that never stop, and only the last one needs the turn`, async (t) => {
    const { source, target, repository } = await twoNodes(t, { shared: 1, missed: 60 });
    let last: Promise<unknown> = Promise.resolve();
    const inTurn = <T>(action: () => Promise<T>): Promise<T> => {
      const turn = last.then(action);
      last = turn;
      return turn;
    };
    let running = true;
    const pushing = (async () => {
      while (running) {
        await inTurn(() => repository.push([source]));
        await new Promise((resolve) => { setTimeout(resolve, 50); });
      }
    })();
    const job = newId();
    const asked = { way, job };
    let brought = Infinity;
    for (let rounds = 0; brought > 60 && rounds < 20; rounds++) ({ objects: brought } = await target.repair(repository.id, source, asked));
    t.true(brought <= 60, 'rounds get smaller');
    const expect = await inTurn(async () => {
      const position = await source.position(repository.id);
      t.like(await target.repair(repository.id, source, { ...asked, round: 'refs', expect: position }), position);
      return position;
    });
    running = false;
    await pushing;
    t.like(await target.verify(repository.id, true), { ...expect, diskDigest: expect.digest, problems: [] });
  });
}

test('after a repair a push is taken as if nothing had happened: what the node remembered of its store was forgotten', async (t) => {
  for (const way of ['fetch', 'heal', 'rebuild'] as const) {
    const { source, target, repository } = await twoNodes(t, { shared: 3, missed: 2 });
    if (way !== 'fetch') {
      const directory = join(target.gitDir(repository.id), 'objects/pack');
      flip(join(directory, `${packs(target, repository)[0]}.pack`), 40);
      await target.verify(repository.id, true);
    }
    await target.repair(repository.id, source, { way });
    await finish(t, source, target, repository, way);
    await repository.push([source, target]);
    t.deepEqual(await target.position(repository.id), await source.position(repository.id));
    t.deepEqual((await target.verify(repository.id, true)).problems, []);
  }
});

test('heal: a damaged pack is replaced by the source\'s and kept aside, a lost index comes back, and nothing is found any more', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 4, missed: 0 });
  const [flipped, lost, deleted] = packs(target, repository);
  const directory = join(target.gitDir(repository.id), 'objects/pack');
  flip(join(directory, `${flipped}.pack`), 40);
  rmSync(join(directory, `${lost}.idx`));
  for (const suffix of ['.pack', '.idx']) rmSync(join(directory, `${deleted}${suffix}`));
  t.not((await target.verify(repository.id, true)).problems.length, 0);
  const job = newId();
  t.is((await target.repair(repository.id, source, { way: 'heal', job })).objects, 6);
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
  t.true(existsSync(join(target.gitDir(repository.id), 'damaged', job, `${flipped}.pack`)), 'what was damaged is kept');
  t.like(await target.repair(repository.id, source, { way: 'heal', job }), { objects: 0, bytes: 0 });
  await finish(t, source, target, repository, 'heal');
  t.false(existsSync(join(target.gitDir(repository.id), 'damaged')));
});

test('heal: the index of a sound pack that the source doesn\'t have is made here', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  source.git(repository.id, 'repack', '-adq');
  const [name] = packs(target, repository);
  const directory = join(target.gitDir(repository.id), 'objects/pack');
  const index = readFileSync(join(directory, `${name}.idx`));
  flip(join(directory, `${name}.idx`), 100);
  await target.repair(repository.id, source, { way: 'heal' });
  t.deepEqual(readFileSync(join(directory, `${name}.idx`)), index);
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

test('heal: a damaged pack that nobody has goes when it isn\'t needed, and stays when it is', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 3, missed: 0 });
  const directory = join(target.gitDir(repository.id), 'objects/pack');
  const [name] = packs(target, repository);
  flip(join(directory, `${name}.pack`), 40);
  // Another node that has only a part of it.
  for (const suffix of ['.pack', '.idx']) renameSync(join(source.gitDir(repository.id), 'objects/pack', `${name}${suffix}`), join(source.directory, `kept${suffix}`));
  await target.repair(repository.id, source, { way: 'heal' });
  t.true(existsSync(join(directory, `${name}.pack`)), 'it may hold the only ones of its objects');
  // One that has its objects under another name.
  for (const suffix of ['.pack', '.idx']) renameSync(join(source.directory, `kept${suffix}`), join(source.gitDir(repository.id), 'objects/pack', `${name}${suffix}`));
  source.git(repository.id, 'repack', '-adq');
  await target.repair(repository.id, source, { way: 'heal' });
  t.false(existsSync(join(directory, `${name}.pack`)));
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

test('heal: a configuration, a HEAD and directories that somebody took away come back', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const gitDir = target.gitDir(repository.id);
  const config = readFileSync(join(gitDir, 'config'), 'utf8');
  writeFileSync(join(gitDir, 'config'), '[core\n');
  rmSync(join(gitDir, 'HEAD'));
  rmSync(join(gitDir, 'objects/info'), { recursive: true });
  t.true((await target.verify(repository.id)).problems.some((problem) => problem.kind === 'corrupt'));
  await target.repair(repository.id, source, { way: 'heal' });
  t.is(readFileSync(join(gitDir, 'config'), 'utf8'), config);
  await finish(t, source, target, repository, 'heal');
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

test('heal: what the source has outside packs comes by git', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 2, missed: 0 });
  const directory = join(target.gitDir(repository.id), 'objects/pack');
  const name = packs(target, repository)[0]!;
  const kept = readFileSync(join(directory, `${name}.pack`));
  for (const gone of [target, source]) for (const suffix of ['.pack', '.idx']) rmSync(join(gone.gitDir(repository.id), 'objects/pack', `${name}${suffix}`));
  const { spawnSync } = await import('node:child_process');
  t.is(spawnSync('git', ['unpack-objects', '-q'], { cwd: source.gitDir(repository.id), input: kept }).status, 0);
  await target.repair(repository.id, source, { way: 'heal' });
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

test('progress is told while a round runs, over HTTP too, and 404 otherwise', async (t) => {
  const { source, target, repository } = await twoNodes(t, { shared: 0, missed: 1, fileBytes: 200_000 });
  const path = `/repositories/${repository.id}/repair`;
  t.is((await target.request('GET', path)).status, 404);
  const leaving = new AbortController();
  const round = fetch(`${target.url}${path}`, {
    method: 'POST', signal: leaving.signal,
    headers: { authorization: 'Bearer token-of-the-test-nodes', 'content-type': 'application/json' },
    body: JSON.stringify({ job: newId(), source: source.url, objectFormat: 'sha1', round: 'objects', way: 'rebuild', bytesPerSecond: 1024 }),
  });
  await until(() => (target.context.repair.progressOf(repository.id)?.bytes ?? 0) > 0);
  const progress = await (await target.request('GET', path)).json() as { bytes: number; totalBytes: number };
  t.true(progress.bytes > 0 && progress.bytes < progress.totalBytes);
  leaving.abort();
  await t.throwsAsync(round);
  await until(() => target.context.repair.progressOf(repository.id) === undefined);
});

/** A repository on two nodes, of which the second missed the last pushes. */
async function twoNodes(t: ExecutionContext, { shared, missed, fileBytes = 100 }: { shared: number; missed: number; fileBytes?: number }) {
  const source = await TestNode.start(t);
  const target = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(source, target);
  for (let i = 0; i < shared; i++) await repository.push([source, target], { fileBytes });
  for (let i = 0; i < missed; i++) await repository.push([source], { fileBytes });
  return { source, target, repository };
}

async function refs(source: TestNode, target: TestNode, repository: TestRepository, way: 'fetch' | 'heal' | 'rebuild') {
  return target.repair(repository.id, source, { round: 'refs', way, expect: await source.position(repository.id) });
}

/** The last round, and what must be true after it. */
async function finish(t: ExecutionContext, source: TestNode, target: TestNode, repository: TestRepository, way: 'fetch' | 'heal' | 'rebuild') {
  const position = await source.position(repository.id);
  t.like(await refs(source, target, repository, way), position);
  t.deepEqual(await target.position(repository.id), position);
  t.like(await readReplicaRecord(target.gitDir(repository.id)), position);
  t.like(await target.verify(repository.id), { diskDigest: position.digest, problems: [] });
  target.git(repository.id, 'fsck', '--full', '--strict');
  await target.context.repair.discard(repository.id);
}

/** As somebody with a shell would, and a restart after it. */
async function moveByHand(node: TestNode, repository: TestRepository, oid: string): Promise<void> {
  await node.context.replicas.saveRecords();
  node.git(repository.id, 'update-ref', 'refs/heads/main', oid);
  node.context.replicas.reopen(repository.id);
}

function packs(node: TestNode, repository: TestRepository): string[] {
  return readdirSync(join(node.gitDir(repository.id), 'objects/pack')).filter((file) => file.endsWith('.pack')).map((file) => file.slice(0, -5)).sort();
}

function filesOf(node: TestNode, repository: TestRepository): [string, number, number][] {
  const objects = join(node.gitDir(repository.id), 'objects');
  return (readdirSync(objects, { recursive: true }) as string[]).sort().map((file) => {
    const { ino, ctimeMs } = statSync(join(objects, file));
    return [file, ino, ctimeMs];
  });
}

function flip(path: string, at: number): void {
  const bytes = readFileSync(path);
  bytes[at]! ^= 1;
  rmSync(path);
  writeFileSync(path, bytes);
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => { setTimeout(resolve, 5); });
}
