import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { newId } from '@trivet/proto/id.ts';
import type { SettleAnswer } from '@trivet/proto/messages.ts';
import { RefStore, type RefChange } from '../refs/ref-store.ts';
import { locksOf, makeScratch, refsByGit } from '../refs/scratch-repository.ts';
import { readReplicaRecord } from '../repository/position-file.ts';
import { replicaDisk } from '../repository/replica-disk.ts';
import { Replicas } from '../repository/replicas.ts';
import type { JournalRecord, PromiseRecord } from './journal.ts';
import { mergeChanges, promisesByRepository, recover } from './recovery.ts';

const nobody = async (): Promise<never> => { throw new Error('nobody has to be asked'); };

test('a promise with a commit on record is made so again, without asking', async (t) => {
  const node = await makeNode(t);
  const promise = node.promise('refs/heads/a', undefined, 0);
  t.is((await recover(node.disk, [promise, committed(promise)], nobody)).inDoubt, 0);
  t.deepEqual(node.refs(), [['refs/heads/a', node.oids[0]!]]);
  t.like(await readReplicaRecord(node.gitDir), promise.after);
});

for (const outcome of ['commit', 'abort'] as const) {
  const fate = outcome === 'commit' ? 'made so' : 'dropped';
  test(`a promise without an outcome is asked for, and ${fate} when the answer is ${outcome}`, async (t) => {
    const node = await makeNode(t);
    const promise = node.promise('refs/heads/a', undefined, 0);
    const asked: string[] = [];
    t.is((await recover(node.disk, [promise], async ({ batch, after }) => { asked.push(batch); return outcome === 'commit' ? { outcome, after } : { outcome }; })).inDoubt, 1);
    t.deepEqual(asked, [promise.batch]);
    t.deepEqual(node.refs(), outcome === 'commit' ? [['refs/heads/a', node.oids[0]!]] : []);
    t.is((await readReplicaRecord(node.gitDir))!.generation, outcome === 'commit' ? 1 : 0);
  });
}

for (const [what, difference] of [['another digest', { digest: 'd'.repeat(64) }], ['another generation', { generation: 2 }]] as const) {
  test(`a promise without an outcome is dropped when the answer is a commit of ${what}`, async (t) => {
    const node = await makeNode(t);
    const promise = node.promise('refs/heads/a', undefined, 0);
    const recovered = await recover(node.disk, [promise], async ({ after }) => ({ outcome: 'commit', after: { ...after, ...difference } }));
    t.deepEqual(recovered.kept, []);
    t.deepEqual(node.refs(), []);
    t.is((await readReplicaRecord(node.gitDir))!.generation, 0);
  });
}

test('commits are made so in their order, an abort between them is left out, and the position is that of the last', async (t) => {
  const node = await makeNode(t);
  const first = node.promise('refs/heads/a', undefined, 0);
  const dropped = node.promise('refs/heads/b', undefined, 1);
  const second = node.promise('refs/heads/a', 0, 2);
  await recover(node.disk, [first, committed(first), dropped, aborted(dropped), second, committed(second)], nobody);
  t.deepEqual(node.refs(), [['refs/heads/a', node.oids[2]!]]);
  t.like(await readReplicaRecord(node.gitDir), second.after);
  const digest = await node.replicas.use(node.id, async (replica) => replica.position.digest);
  t.is(digest, (await RefStore.open(node.gitDir, 'sha1')).digest);
});

test('recovering twice, or from any beginning of what was done before, ends in the same', async (t) => {
  const node = await makeNode(t);
  const first = node.promise('refs/heads/a', undefined, 0);
  const second = node.promise('refs/heads/a', 0, 1);
  const records: JournalRecord[] = [first, committed(first), second];
  await recover(node.disk, records, async ({ after }) => ({ outcome: 'commit', after }));
  const once = node.refs();
  await recover(node.disk, records, async ({ after }) => ({ outcome: 'commit', after }));
  t.deepEqual(node.refs(), once);
  t.like(await readReplicaRecord(node.gitDir), second.after);
});

test('records from before a replica was made anew no longer count', async (t) => {
  const node = await makeNode(t);
  const old = node.promise('refs/heads/old', undefined, 0);
  t.is((await recover(node.disk, [old, committed(old), { kind: 'restart', repository: node.id }], nobody)).inDoubt, 0);
  t.deepEqual(node.refs(), []);
});

test('a promise of a replica that is gone is asked of nobody', async (t) => {
  const node = await makeNode(t);
  const promise = { ...node.promise('refs/heads/a', undefined, 0), repository: newId() };
  t.is((await recover(node.disk, [promise], nobody)).inDoubt, 0);
});

test('a replica whose record can not be read is left for repair', async (t) => {
  const node = await makeNode(t);
  writeFileSync(join(node.gitDir, 'trivet.json'), '{"gene');
  const promise = node.promise('refs/heads/a', undefined, 0);
  await recover(node.disk, [promise, committed(promise)], nobody);
  t.deepEqual(node.refs(), []);
  await t.throwsAsync(node.replicas.use(node.id, async () => {}), { code: 'replica_missing' });
});

const damages: { name: string; damage: (gitDir: string, oid: string) => void }[] = [
  { name: 'packed-refs is torn', damage: (gitDir, oid) => writeFileSync(join(gitDir, 'packed-refs'), `# pack-refs with: sorted \n${oid} refs/heads/ma`) },
  { name: 'a directory of refs is where the promised ref belongs', damage: (gitDir, oid) => {
    mkdirSync(join(gitDir, 'refs/heads/a'));
    writeFileSync(join(gitDir, 'refs/heads/a/b'), `${oid}\n`);
  } },
  { name: 'a name below refs is not UTF-8', damage: (gitDir, oid) => writeFileSync(Buffer.concat([Buffer.from(`${gitDir}/refs/heads/x`), Buffer.from([0xff])]), `${oid}\n`) },
  { name: 'the record is gone', damage: (gitDir) => rmSync(join(gitDir, 'trivet.json')) },
  { name: 'the record is that of another repository', damage: (gitDir) => writeFileSync(join(gitDir, 'trivet.json'), JSON.stringify({ repository: newId(), objectFormat: 'sha1', generation: 0, digest: '' })) },
];

for (const { name, damage } of damages) {
  test(`when ${name}, that replica alone is kept out, and what it promised stays on record`, async (t) => {
    const node = await makeNode(t);
    const other = await makeNode(t, node);
    const promise = node.promise('refs/heads/a', undefined, 0);
    const doubtful = node.promise('refs/heads/c', undefined, 0);
    const dropped = node.promise('refs/heads/d', undefined, 0);
    const sound = other.promise('refs/heads/a', undefined, 0);
    damage(node.gitDir, node.oids[1]!);
    const outcome = async ({ batch, after }: PromiseRecord): Promise<SettleAnswer> => (batch === doubtful.batch ? { outcome: 'commit', after } : { outcome: 'abort' });
    const recovered = await recover(node.disk, [promise, committed(promise), sound, committed(sound), doubtful, dropped], outcome);
    t.deepEqual([...recovered.failed.keys()], [node.id]);
    t.deepEqual(recovered.kept, [promise, committed(promise), doubtful, committed(doubtful)]);
    t.deepEqual(other.refs(), [['refs/heads/a', node.oids[0]!]]);
    await t.throwsAsync(node.replicas.use(node.id, async () => {}), { message: /can not be read|no replica/ });
    await node.replicas.use(other.id, async (replica) => { t.is(replica.generation, 1); });
    const again = await recover(node.disk, recovered.kept, nobody);
    t.deepEqual(again.kept, recovered.kept, 'and the same at the next start');
  });
}

test('a question that nobody answers ends the recovery: it is not the replica\'s fault', async (t) => {
  const node = await makeNode(t);
  await t.throwsAsync(recover(node.disk, [node.promise('refs/heads/a', undefined, 0)], nobody), { message: /nobody/ });
});

test('what a killed process left is removed: locks, quarantines, torn refs, replicas half made or half removed', async (t) => {
  const node = await makeNode(t);
  const left = ['HEAD.lock', 'packed-refs.lock', 'refs/heads/a.lock', 'refs/heads/torn', 'quarantine/01-ab/pack/pack-1.pack'];
  for (const path of left) {
    mkdirSync(dirname(join(node.gitDir, path)), { recursive: true });
    writeFileSync(join(node.gitDir, path), '');
  }
  const beside = ['.creating-x', `${newId()}.git.removed-1`].map((name) => join(dirname(node.gitDir), name));
  for (const path of beside) mkdirSync(path);
  await recover(node.disk, [], nobody);
  t.deepEqual(locksOf(node.gitDir), []);
  t.deepEqual([...left.map((path) => join(node.gitDir, path)), ...beside].filter(existsSync), []);
  t.true(existsSync(node.gitDir), 'the replica itself stays');
});

test('the newest outcome of a batch counts, a promise in two files counts once, and repositories are kept apart', (t) => {
  const of = (repository: string, batch: string) => ({ kind: 'promise', repository, batch }) as PromiseRecord;
  const records: JournalRecord[] = [
    of('r', '1'), of('s', '2'), { kind: 'committed', repository: 'r', batch: '1' }, of('r', '3'), of('r', '3'),
    { kind: 'aborted', repository: 's', batch: '2' }, { kind: 'committed', repository: 's', batch: 'unheard of' },
  ];
  const outcomes = [...promisesByRepository(records)].map(([repository, promises]) => (
    [repository, promises.map(({ promise, outcome }) => `${promise.batch} ${outcome ?? 'in doubt'}`)]));
  t.deepEqual(outcomes, [['r', ['1 commit', '3 in doubt']], ['s', ['2 abort']]]);
});

test('merged changes do what the changes do one after another', (t) => {
  const update = fc.record({ ref: fc.constantFrom('a', 'b', 'c'), new: fc.constantFrom(undefined, '1', '2') });
  const updates = fc.array(update, { maxLength: 3 });
  const head = fc.option(fc.constantFrom('x', 'y'), { nil: undefined });
  fc.assert(fc.property(fc.array(fc.record({ updates, head })), (steps) => {
    const naive = new Map<string, string | undefined>();
    let naiveHead: string | undefined;
    const changes = steps.map((step): RefChange => {
      const unique = [...new Map(step.updates.map((update) => [update.ref, update])).values()];
      const change: RefChange = {
        updates: unique.map((update) => ({ ref: update.ref, old: naive.get(update.ref), new: update.new })),
      };
      for (const update of unique) naive.set(update.ref, update.new);
      if (step.head !== undefined) {
        change.head = { old: naiveHead ?? '', new: step.head };
        naiveHead = step.head;
      }
      return change;
    });
    const merged = mergeChanges(changes);
    t.deepEqual(new Map(merged.updates.map((update) => [update.ref, update.new])), naive);
    t.is(new Set(merged.updates.map(({ ref }) => ref)).size, merged.updates.length);
    t.is(merged.head?.new, naiveHead);
  }));
});

/** A node's disk with one empty replica, and promises to move its refs. */
async function makeNode(t: ExecutionContext, beside?: { replicas: Replicas }) {
  const scratch = makeScratch(t);
  const root = mkdtempSync(join(tmpdir(), 'trivet-recovery-'));
  t.teardown(() => rmSync(root, { recursive: true, force: true }));
  const replicas = beside?.replicas ?? new Replicas(root, 10, () => {}, async () => {});
  const id = newId();
  await replicas.create(id, 'sha1', 'refs/heads/main');
  const gitDir = replicas.gitDir(id);
  rmSync(join(gitDir, 'objects'), { recursive: true });
  symlinkSync(join(scratch.repository(), 'objects'), join(gitDir, 'objects'));
  const { oids } = scratch;
  let generation = 0;
  /** A promise that moves one ref from one of the oids (or nothing) to another. */
  const promise = (ref: string, before: number | undefined, after: number): PromiseRecord => {
    const change: RefChange = { updates: [{ ref, old: before === undefined ? undefined : oids[before], new: oids[after]! }] };
    generation += 1;
    return {
      kind: 'promise', repository: id, batch: newId(), transactions: [newId()], change,
      before: { generation: generation - 1, digest: 'b'.repeat(64) }, after: { generation, digest: 'a'.repeat(64) },
    };
  };
  return { id, gitDir, replicas, disk: replicaDisk(replicas), oids, promise, refs: () => refsByGit(gitDir) };
}

function committed(promise: PromiseRecord): JournalRecord {
  return { kind: 'committed', repository: promise.repository, batch: promise.batch };
}

function aborted(promise: PromiseRecord): JournalRecord {
  return { kind: 'aborted', repository: promise.repository, batch: promise.batch };
}
