import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import type { ReplicaProblem } from '@trivet/proto/messages.ts';
import { TestNode, TestRepository } from '../test-node.ts';

/** What may happen to a replica behind its node's back, and what a light verification says of it. */
const DAMAGES: [what: string, kind: ReplicaProblem['kind'], damage: (gitDir: string, tip: string) => void][] = [
  ['a ref was edited by hand', 'diverged', (gitDir) => writeFileSync(join(gitDir, 'refs/heads/main'), `${'a'.repeat(40)}\n`)],
  ['a ref was added by hand', 'diverged', (gitDir, tip) => writeFileSync(join(gitDir, 'refs/heads/other'), `${tip}\n`)],
  ['a loose ref was deleted', 'diverged', (gitDir) => rmSync(join(gitDir, 'refs/heads/main'))],
  ['a loose ref was emptied', 'diverged', (gitDir) => writeFileSync(join(gitDir, 'refs/heads/main'), '')],
  ['HEAD was pointed elsewhere', 'diverged', (gitDir) => writeFileSync(join(gitDir, 'HEAD'), 'ref: refs/heads/other\n')],
  ['HEAD is gone', 'diverged', (gitDir) => rmSync(join(gitDir, 'HEAD'))],
  ['packed-refs was truncated', 'diverged', (gitDir) => writeFileSync(join(gitDir, 'packed-refs'), '# pack-refs with: sorted \nabc')],
  ['packed-refs has a ref more', 'diverged', (gitDir, tip) => writeFileSync(join(gitDir, 'packed-refs'), `${tip} refs/heads/packed\n`)],
  ['the record is gone', 'diverged', (gitDir) => rmSync(join(gitDir, 'trivet.json'))],
  ['the record was torn', 'diverged', (gitDir) => writeFileSync(join(gitDir, 'trivet.json'), '{"repo')],
  ['the configuration is nonsense', 'corrupt', (gitDir) => writeFileSync(join(gitDir, 'config'), '[core\n')],
  ['the newest pack was deleted with its index', 'corrupt', (gitDir) => removePackWith(gitDir, ['.pack', '.idx'])],
  ['a pack was deleted', 'corrupt', (gitDir) => removePackWith(gitDir, ['.pack'])],
  ['an index was deleted', 'corrupt', (gitDir) => removePackWith(gitDir, ['.idx'])],
  ['all objects are gone', 'corrupt', (gitDir) => rmSync(join(gitDir, 'objects/pack'), { recursive: true })],
];

for (const [what, kind, damage] of DAMAGES) {
  test(`light: ${what}: ${kind}`, async (t) => {
    const { node, repository } = await pushed(t);
    t.deepEqual((await node.verify(repository.id)).problems, [], 'control: nothing is found before');
    damage(node.gitDir(repository.id), repository.tips.get('refs/heads/main')!);
    const { problems, digest, generation } = await node.verify(repository.id);
    t.true(problems.some((problem) => problem.kind === kind), JSON.stringify(problems));
    t.like(await node.position(repository.id), { digest, generation }, 'what memory has is told beside it');
  });
}

test('what is right is told with its size', async (t) => {
  const { node, repository } = await pushed(t);
  const answer = await node.verify(repository.id, true);
  const { digest } = await node.position(repository.id);
  t.like(answer, { generation: 3, digest, diskDigest: digest, problems: [], packs: 3 });
  t.true(answer.bytes > 300 && answer.tookMs > 0);
});

test('an empty repository is sound', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  t.like(await node.verify(repository.id, true), { generation: 0, problems: [], packs: 0, bytes: 0 });
});

test('a directory that vanished under a running node is missing, is forgotten, and can be there again', async (t) => {
  const { node, repository } = await pushed(t);
  const gitDir = node.gitDir(repository.id);
  renameSync(gitDir, `${gitDir}.elsewhere`);
  await t.throwsAsync(node.verify(repository.id), { code: 'replica_missing' });
  await t.throwsAsync(node.position(repository.id), { code: 'replica_missing' });
  await node.context.replicas.saveRecords();
  await repository.createOn(node);
  t.is((await node.position(repository.id)).generation, 0);
});

test('two directories that were swapped are both missing', async (t) => {
  const { node, repository } = await pushed(t);
  const other = new TestRepository();
  await other.createOn(node);
  const [a, b] = [node.gitDir(repository.id), node.gitDir(other.id)];
  await node.context.replicas.saveRecords();
  renameSync(a, `${a}.x`);
  renameSync(b, a);
  renameSync(`${a}.x`, b);
  for (const { id } of [repository, other]) await t.throwsAsync(node.verify(id, true), { code: 'replica_missing' });
});

test('a directory restored from an older copy has diverged', async (t) => {
  const { node, repository } = await pushed(t);
  await node.context.replicas.saveRecords();
  const backup = mkdtempSync(join(tmpdir(), 'trivet-backup-'));
  t.teardown(() => rmSync(backup, { recursive: true }));
  cpSync(node.gitDir(repository.id), backup, { recursive: true });
  await repository.push([node]);
  rmSync(node.gitDir(repository.id), { recursive: true });
  cpSync(backup, node.gitDir(repository.id), { recursive: true });
  const { problems } = await node.verify(repository.id);
  t.deepEqual(new Set(problems.map((problem) => problem.kind)), new Set(['diverged', 'corrupt']));
});

test('a replica that can not be opened is an error, not a finding', async (t) => {
  const { node, repository } = await pushed(t);
  await node.context.replicas.saveRecords();
  writeFileSync(join(node.gitDir(repository.id), 'HEAD'), 'nonsense');
  node.context.replicas.reopen(repository.id);
  await t.throwsAsync(node.verify(repository.id), { code: 'refs_unreadable' });
});

for (const full of [false, true]) {
  test(`${full ? 'full' : 'light'}: nothing is found while commits go on`, async (t) => {
    const { node, repository } = await pushed(t);
    let verified = 0;
    const verifying = (async () => {
      while (verified < (full ? 2 : 6)) {
        const { problems, digest, diskDigest } = await node.verify(repository.id, full);
        t.deepEqual(problems, []);
        t.is(diskDigest, digest);
        verified += 1;
      }
    })();
    let pushes = 0;
    let running = true;
    const pushing = (async () => {
      while (running) {
        await repository.push([node], { ref: `refs/heads/b${pushes++ % 5}` });
      }
    })();
    await verifying;
    running = false;
    await pushing;
    t.true(pushes > 5, `${pushes} pushes meanwhile`);
  });
}

test('control: a pack without its index is found, if nobody is moving it', async (t) => {
  const { node, repository } = await pushed(t);
  removePackWith(node.gitDir(repository.id), ['.idx']);
  t.true((await node.verify(repository.id)).problems.some((problem) => /\.pack has no index/.test(problem.detail)));
});

test('light: a pack that this node has used goes with its index, though no ref names what was in it', async (t) => {
  const { node, repository } = await pushed(t);
  const gitDir = node.gitDir(repository.id);
  const [first] = node.git(repository.id, 'rev-list', 'main').split('\n').slice(-1);
  const directory = join(gitDir, 'objects/pack');
  const name = readdirSync(directory).filter((file) => file.endsWith('.idx'))
    .find((index) => node.git(repository.id, 'verify-pack', '-v', join(directory, index)).includes(first!))!;
  for (const file of [name, name.replace('.idx', '.pack')]) rmSync(join(directory, file));
  t.deepEqual((await node.verify(repository.id)).problems, [{ kind: 'corrupt', detail: `${name} and its pack have gone` }]);
  t.true((await node.verify(repository.id, true)).problems.length > 0, 'and a full one finds it without having seen it');
});

test('a replica that is being repaired is left alone', async (t) => {
  const { node, repository } = await pushed(t);
  const source = await TestNode.start(t);
  await repository.createOn(source);
  const leaving = new AbortController();
  await repository.push([node], { fileBytes: 100_000 });
  const round = source.repair(repository.id, node, { way: 'rebuild', job: newId(), bytesPerSecond: 1024 }, leaving.signal);
  for (const full of [false, true]) await t.throwsAsync(source.verify(repository.id, full), { code: 'replica_busy' });
  leaving.abort();
  await t.throwsAsync(round);
  t.like(await source.verify(repository.id), { problems: [] });
});

test('what is damaged is told before what comes of it, and a lost object once for all refs that name it', async (t) => {
  const { node, repository } = await pushed(t);
  const tip = repository.tips.get('refs/heads/main')!;
  await node.context.replicas.use(repository.id, async ({ refs }) => {
    await refs.apply({ updates: Array.from({ length: 25 }, (_, i) => ({ ref: `refs/heads/same-${i}`, old: undefined, new: tip })) });
  });
  removePackWith(node.gitDir(repository.id), ['.idx']);
  const details = (await node.verify(repository.id)).problems.map(({ detail }) => detail);
  t.is(details.length, 4);
  t.regex(details[0]!, /\.pack has no index/);
  t.is(details[3], `refs/heads/main and 25 more name ${tip}, which is not there or can not be read`);
});

test('however much is damaged, 20 problems of 300 characters in one line say enough', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  const ref = (i: number) => `refs/heads/${i}-${'x'.repeat(200)}/${'y'.repeat(200)}`;
  for (let i = 0; i < 25; i++) await repository.push([node], { ref: ref(i) });
  for (const file of readdirSync(join(node.gitDir(repository.id), 'objects/pack'))) rmSync(join(node.gitDir(repository.id), 'objects/pack', file));
  const { problems } = await node.verify(repository.id, true);
  t.is(problems.length, 20);
  t.true(problems.every(({ detail }) => detail.length <= 300 && !/[\r\n]/.test(detail)));
});

/** A node with a repository that has had three pushes. */
async function pushed(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  for (let i = 0; i < 3; i++) await repository.push([node]);
  return { node, repository };
}

function removePackWith(gitDir: string, suffixes: readonly string[]): void {
  const directory = join(gitDir, 'objects/pack');
  // The newest is the one the tip is in, whichever that is: all are asked about.
  for (const file of readdirSync(directory)) if (suffixes.some((suffix) => file.endsWith(suffix))) rmSync(join(directory, file));
  mkdirSync(dirname(directory), { recursive: true });
}
