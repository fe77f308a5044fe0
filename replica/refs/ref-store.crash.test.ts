import { readFileSync } from 'node:fs';
import test from 'ava';
import type { Oid } from '@trivet/proto/object-format.ts';
import { RefTable } from './ref-table.ts';
import { MAX_LOOSE_UPDATES, removeOrphanLocks, RefStore, type RefChange } from './ref-store.ts';
import { filesOf, git, locksOf, makeScratch, refsByGit } from './scratch-repository.ts';

// The process stops before each step that touches the disk, in turn, for each kind of change.

type Values = Record<string, number>;

interface Scene {
  name: string;
  /** Refs that are in packed-refs, then refs that have a file (of their own or over the packed one). */
  packed: Values;
  loose: Values;
  /** Index into the objects, or undefined for a deletion. */
  updates: Record<string, number | undefined>;
  head?: string;
}

const numbered = (prefix: string, count: number, value: number | undefined) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${prefix}${i}`, value]));

const scenes: Scene[] = [
  { name: 'one branch moves', packed: {}, loose: { 'refs/heads/a': 0 }, updates: { 'refs/heads/a': 1 } },
  { name: 'branches are created in new directories, and HEAD moves to one', packed: {}, loose: {},
    updates: { 'refs/heads/x/y/z': 1, 'refs/new/w': 2 }, head: 'refs/heads/x/y/z' },
  { name: 'packed and loose refs are moved, created and deleted together',
    packed: { 'refs/heads/a': 0, 'refs/heads/b': 0, 'refs/heads/c/d/e': 0, 'refs/tags/keep': 0 },
    loose: { 'refs/heads/b': 1, 'refs/heads/f/g': 1, 'refs/heads/h': 1 },
    updates: { 'refs/heads/a': 2, 'refs/heads/b': undefined, 'refs/heads/c/d/e': undefined, 'refs/heads/f/g': undefined,
      'refs/heads/h': 2, 'refs/heads/i/j': 2 }, head: 'refs/heads/a' },
  { name: 'only loose refs are deleted while others are packed',
    packed: { 'refs/tags/keep': 0 }, loose: { 'refs/heads/a/b': 1 }, updates: { 'refs/heads/a/b': undefined } },
  { name: 'a ref makes room for a directory and a directory for a ref',
    packed: { 'refs/heads/a': 0, 'refs/tags/t/x': 0 }, loose: { 'refs/heads/a': 1, 'refs/tags/t/y': 1 },
    updates: { 'refs/heads/a': undefined, 'refs/heads/a/b': 2, 'refs/tags/t/x': undefined, 'refs/tags/t/y': undefined,
      'refs/tags/t': 2 } },
  { name: 'many refs are moved, created and deleted together',
    packed: { ...numbered('refs/heads/p', 12, 0) as Values, 'refs/tags/keep': 0 },
    loose: { ...numbered('refs/heads/p', 6, 1) as Values, ...numbered('refs/heads/l/', 12, 1) as Values, 'refs/heads/keep': 1 },
    updates: { ...numbered('refs/heads/p', 12, 2), ...numbered('refs/heads/l/', 12, undefined),
      ...numbered('refs/heads/new/', MAX_LOOSE_UPDATES, 2) }, head: 'refs/heads/p0' },
];

for (const format of ['sha1', 'sha256'] as const) {
  for (const scene of format === 'sha1' ? scenes : scenes.slice(2, 3)) {
    test(`${scene.name} (${format}): stopped at any step, nothing is torn and a replay completes it`, async (t) => {
      const { before, after, change, repository } = makeScene(t, scene, format);
      for (let stopAt = 0; ; stopAt++) {
        const gitDir = repository();
        const stopped = await carryOut(gitDir, change, format, stopAt);
        for (const [name, oid] of refsByGit(gitDir)) t.true(oid === before.get(name) || oid === after.get(name), name);
        await removeOrphanLocks(gitDir);
        t.deepEqual(locksOf(gitDir), []);
        const store = await RefStore.open(gitDir, format);
        await store.apply(change);
        t.deepEqual(refsByGit(gitDir), [...after]);
        t.is(readFileSync(`${gitDir}/HEAD`, 'utf8'), `ref: ${scene.head ?? 'refs/heads/main'}\n`);
        t.is(await store.digestFromDisk(), store.digest);
        t.deepEqual(locksOf(gitDir), []);
        if (!stopped) break;
        t.true(stopAt < 1000);
      }
    });

    test(`${scene.name} (${format}): git reading between any two steps sees each ref before or after`, async (t) => {
      const { before, after, change, repository } = makeScene(t, scene, format);
      const gitDir = repository();
      const moved = new Set<string>();
      const store = await RefStore.open(gitDir, format, () => {
        const seen = new Map(refsByGit(gitDir));
        for (const name of new Set([...before.keys(), ...after.keys(), ...seen.keys()])) {
          if (before.get(name) === after.get(name)) t.is(seen.get(name), before.get(name), name);
          else if (seen.get(name) === before.get(name)) t.false(moved.has(name), `${name} went back`);
          else t.is(seen.get(name), after.get(name), name);
          if (seen.get(name) === after.get(name)) moved.add(name);
        }
      });
      await (await store.prepare(change)).commit();
      t.deepEqual(refsByGit(gitDir), [...after]);
    });

    test(`${scene.name} (${format}): an abort, and a disk that fails at any step of prepare, leave no trace`, async (t) => {
      const { before, change, repository } = makeScene(t, scene, format);
      for (let failAt = 0; ; failAt++) {
        const gitDir = repository();
        const files = filesOf(gitDir);
        let step = 0;
        const store = await RefStore.open(gitDir, format, () => {
          if (step++ === failAt) throw new Error('the disk fails once');
        });
        const prepared = await store.prepare(change).catch((error: unknown) => error as Error);
        if (!(prepared instanceof Error)) await prepared.abort().catch(() => prepared.abort());
        t.deepEqual(filesOf(gitDir), files);
        t.deepEqual((await RefStore.open(gitDir, format)).entries(), [...before]);
        if (step <= failAt) break;
        await (await store.prepare(change)).abort();
        t.deepEqual(filesOf(gitDir), files);
      }
    });
  }
}

test('a commit that fails at any step goes on where it failed', async (t) => {
  const { after, change, repository } = makeScene(t, scenes[2]!, 'sha1');
  for (let failAt = 0; ; failAt++) {
    const gitDir = repository();
    let [committing, step] = [false, 0];
    const store = await RefStore.open(gitDir, 'sha1', () => {
      if (committing && step++ === failAt) throw new Error('the disk fails once');
    });
    const digest = store.digest;
    const prepared = await store.prepare(change);
    committing = true;
    const failed = await prepared.commit().then(() => false, () => true);
    if (failed) {
      t.is(store.digest, digest, 'what is half done is not shown');
      await t.throwsAsync(prepared.abort(), { message: /half done/ });
      await t.throwsAsync(store.prepare({ updates: [] }), { code: 'replica_busy' });
      await prepared.commit();
    }
    t.is(store.digest, prepared.digestAfter);
    t.deepEqual(refsByGit(gitDir), [...after]);
    t.deepEqual(locksOf(gitDir), []);
    if (!failed) break;
  }
});

for (const scene of scenes) {
  test(`${scene.name}: a disk that fails from any step of prepare or abort on, for a while, leaves a store that works afterwards`, async (t) => {
    const { before, after, change, repository } = makeScene(t, scene, 'sha1');
    for (let failAt = 0; ; failAt++) {
      const gitDir = repository();
      const files = filesOf(gitDir);
      let [step, failing] = [0, true];
      const store = await RefStore.open(gitDir, 'sha1', () => { if (failing && step++ >= failAt) throw new Error('the disk fails'); });
      const prepared = await store.prepare(change).catch((error: unknown) => error as Error);
      if (prepared instanceof Error) t.like(prepared, { code: 'disk_failure' });
      else await prepared.abort().catch(() => {});
      const reached = step <= failAt;
      failing = false;
      await (await store.prepare(change)).abort();
      t.deepEqual(filesOf(gitDir), files, 'no lock is left, and no directory');
      t.true(store.settled);
      t.deepEqual(store.entries(), [...before]);
      await (await store.prepare(change)).commit();
      t.deepEqual(refsByGit(gitDir), [...after]);
      t.is(await store.digestFromDisk(), store.digest);
      if (reached) break;
    }
  });

  test(`${scene.name}: a disk that fails from any step of apply on, for a while, is gone on with by the next change or by a replacement`, async (t) => {
    const { before, after, change, repository } = makeScene(t, scene, 'sha1');
    for (const next of ['apply', 'prepare', 'replaceAll'] as const) {
      for (let failAt = 0; ; failAt++) {
        const gitDir = repository();
        let [step, failing] = [0, true];
        const store = await RefStore.open(gitDir, 'sha1', () => { if (failing && step++ >= failAt) throw new Error('the disk fails'); });
        const failed = await store.apply(change).then(() => false, () => true);
        if (failed) t.false(step < failAt);
        failing = false;
        if (next === 'apply') await store.apply(change);
        else if (next === 'replaceAll') await store.replaceAll(scene.head ?? 'refs/heads/main', after);
        else await (await store.prepare({ updates: [] })).abort();
        const isBefore = store.digest !== new RefTable(scene.head ?? 'refs/heads/main', new Map(after)).digest;
        t.deepEqual(refsByGit(gitDir), isBefore ? [...before] : [...after]);
        t.false(isBefore && next !== 'prepare');
        t.is(await store.digestFromDisk(), store.digest);
        t.deepEqual(locksOf(gitDir), []);
        t.true(store.settled);
        if (!failed) break;
      }
    }
  });
}

test('what was being undone when the disk failed can not be committed any more', async (t) => {
  const { change, repository } = makeScene(t, scenes[0]!, 'sha1');
  let failing = false;
  const store = await RefStore.open(repository(), 'sha1', () => { if (failing) throw new Error('the disk fails'); });
  const prepared = await store.prepare(change);
  failing = true;
  await t.throwsAsync(prepared.abort(), { code: 'disk_failure' });
  t.false(store.settled);
  await t.throwsAsync(store.prepare(change), { code: 'disk_failure' });
  failing = false;
  await t.throwsAsync(prepared.commit(), { message: /aborted/ });
  await (await store.prepare(change)).commit();
  await prepared.abort();
  t.is(store.get('refs/heads/a'), change.updates[0]!.new);
});

test('a replacement of all refs stopped at any step is completed by another', async (t) => {
  const { after, repository } = makeScene(t, scenes[2]!, 'sha1');
  for (let stopAt = 0; ; stopAt++) {
    const gitDir = repository();
    let step = 0;
    const store = await RefStore.open(gitDir, 'sha1', () => { if (step++ >= stopAt) throw new Error('killed'); });
    const stopped = await store.replaceAll('refs/heads/h', after).then(() => false, () => true);
    await removeOrphanLocks(gitDir);
    const reopened = await RefStore.open(gitDir, 'sha1');
    await reopened.replaceAll('refs/heads/h', after);
    t.deepEqual(refsByGit(gitDir), [...after]);
    t.is(reopened.digest, new RefTable('refs/heads/h', new Map(after)).digest);
    t.is(await reopened.digestFromDisk(), reopened.digest);
    t.deepEqual(locksOf(gitDir), []);
    if (!stopped) break;
  }
});

function makeScene(t: Parameters<typeof makeScratch>[0], scene: Scene, format: 'sha1' | 'sha256') {
  const { oids, repository } = makeScratch(t, format);
  const values = (from: Values) => Object.entries(from).map(([ref, i]): [string, Oid] => [ref, oids[i]!]);
  const before = new Map([...values(scene.packed), ...values(scene.loose)]);
  const updates = Object.entries(scene.updates)
    .map(([ref, i]) => ({ ref, old: before.get(ref), new: i === undefined ? undefined : oids[i] }));
  const after = new Map(before);
  for (const update of updates) {
    if (update.new === undefined) after.delete(update.ref);
    else after.set(update.ref, update.new);
  }
  const change: RefChange = { updates, ...scene.head && { head: { old: 'refs/heads/main', new: scene.head } } };
  const write = (gitDir: string, refs: Values) => git(gitDir, ['update-ref', '--stdin'],
    values(refs).map(([ref, oid]) => `update ${ref} ${oid}\n`).join(''));
  const original = repository();
  write(original, scene.packed);
  git(original, ['pack-refs', '--all']);
  write(original, scene.loose);
  return { before: sorted(before), after: sorted(after), change, repository: () => repository(original) };
}

/** Prepares and commits, as a process that is killed before step `stopAt`. Returns whether it came to that. */
async function carryOut(gitDir: string, change: RefChange, format: 'sha1' | 'sha256', stopAt: number): Promise<boolean> {
  let step = 0;
  const store = await RefStore.open(gitDir, format, () => { if (step++ >= stopAt) throw new Error('killed'); });
  try {
    await (await store.prepare(change)).commit();
    return false;
  } catch {
    return true;
  }
}

function sorted(refs: Map<string, Oid>): Map<string, Oid> {
  return new Map([...refs].sort(([a], [b]) => (a < b ? -1 : 1)));
}
