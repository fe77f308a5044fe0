import { mkdirSync, readFileSync, rmdirSync, symlinkSync, writeFileSync, appendFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import { removeOrphanLocks, removeTornRefs, RefStore, type RefChange } from './ref-store.ts';
import { filesOf, git, locksOf, makeScratch, refsByGit } from './scratch-repository.ts';

const A = 'refs/heads/a';
const NOTHING = { updates: [] };

/** One update, from what the store has. */
function to(store: RefStore, ref: string, oid: string | undefined): RefChange {
  return { updates: [{ ref, old: store.get(ref), new: oid }] };
}

test('refs that git wrote are read, loose over packed, annotated tags and all', async (t) => {
  const { oids, tag, repository } = makeScratch(t);
  const gitDir = repository();
  const refs = { [A]: oids[0]!, 'refs/tags/v1': tag, 'refs/heads/é/😀': oids[1]!, 'refs/heads/é/\ue000': oids[1]! };
  for (const [ref, oid] of Object.entries(refs)) git(gitDir, ['update-ref', ref, oid]);
  git(gitDir, ['pack-refs', '--all']);
  git(gitDir, ['update-ref', A, oids[2]!]);
  const store = await RefStore.open(gitDir, 'sha1');
  t.deepEqual(store.entries(), refsByGit(gitDir));
  t.is(store.get(A), oids[2]);
  t.is(store.head, 'refs/heads/main');
  t.true(store.hasBelow('refs/heads/é'));
  t.false(store.hasBelow(A));
});

test('a packed-refs file that we wrote lets git peel every tag, known to us or not', async (t) => {
  const { oids, tag, repository } = makeScratch(t);
  const gitDir = repository();
  git(gitDir, ['update-ref', 'refs/tags/known', tag]);
  git(gitDir, ['pack-refs', '--all']);
  const store = await RefStore.open(gitDir, 'sha1');
  const unknown = git(gitDir, ['mktag'], git(gitDir, ['cat-file', 'tag', tag]).replace('tag v1', 'tag v2')).trim();
  const names = Array.from({ length: 100 }, (_, i) => `refs/tags/${i}`);
  await store.apply({ updates: names.map((ref) => ({ ref, old: undefined, new: unknown })) });
  t.regex(readFileSync(join(gitDir, 'packed-refs'), 'latin1'), new RegExp(`known\n\\^${oids[0]}\n`));
  const peeled = git(gitDir, ['show-ref', '-d', '--tags']).split('\n').filter((line) => line.endsWith('^{}'));
  t.is(peeled.length, 101);
  t.true(peeled.every((line) => line.startsWith(oids[0]!)));
});

test('deleting a packed ref keeps the other lines of packed-refs byte for byte', async (t) => {
  const { oids, tag, repository } = makeScratch(t);
  const gitDir = repository();
  for (const ref of ['refs/tags/v1', 'refs/tags/v10', 'refs/tags/v2']) git(gitDir, ['update-ref', ref, tag]);
  git(gitDir, ['update-ref', A, oids[0]!]);
  git(gitDir, ['pack-refs', '--all']);
  const before = readFileSync(join(gitDir, 'packed-refs'), 'latin1');
  const store = await RefStore.open(gitDir, 'sha1');
  await store.apply(to(store, 'refs/tags/v1', undefined));
  t.is(readFileSync(join(gitDir, 'packed-refs'), 'latin1'), before.replace(`${tag} refs/tags/v1\n^${oids[0]}\n`, ''));
  t.deepEqual(refsByGit(gitDir), [...store.entries()].map((entry) => [...entry]));
});

const malformed: { name: string; path: string; content: string | Buffer }[] = [
  { name: 'a detached HEAD', path: 'HEAD', content: `${'a'.repeat(40)}\n` },
  { name: 'a HEAD that points at no ref name', path: 'HEAD', content: 'ref: refs/heads/a..b\n' },
  { name: 'a symbolic ref', path: 'refs/remotes/origin/HEAD', content: 'ref: refs/heads/a\n' },
  { name: 'an empty loose ref', path: A, content: '' },
  { name: 'a loose ref with a short id', path: A, content: `${'a'.repeat(39)}\n` },
  { name: 'a loose ref with the zero id', path: A, content: `${'0'.repeat(40)}\n` },
  { name: 'a file that is no ref name', path: 'refs/heads/a..b', content: `${'a'.repeat(40)}\n` },
  { name: 'a packed ref with the zero id', path: 'packed-refs', content: `${'0'.repeat(40)} ${A}\n` },
  { name: 'a packed ref with a short id', path: 'packed-refs', content: `${'a'.repeat(39)} ${A}\n` },
  { name: 'a packed ref that is no ref name', path: 'packed-refs', content: `${'a'.repeat(40)} refs/heads/a..b\n` },
  { name: 'a packed ref listed twice', path: 'packed-refs', content: `${'a'.repeat(40)} ${A}\n`.repeat(2) },
  { name: 'a packed ref without separator', path: 'packed-refs', content: `${'a'.repeat(40)}-${A}\n` },
  { name: 'a packed-refs file cut off', path: 'packed-refs', content: `${'a'.repeat(40)} ${A}` },
  { name: 'a peeled value of nothing', path: 'packed-refs', content: `^${'a'.repeat(40)}\n` },
  { name: 'a malformed peeled value', path: 'packed-refs', content: `${'a'.repeat(40)} ${A}\n^aa\n` },
  { name: 'a packed name that is not UTF-8', path: 'packed-refs',
    content: Buffer.concat([Buffer.from(`${'a'.repeat(40)} ${A}`), Buffer.from([0xff, 0x0a])]) },
];

for (const { name, path, content } of malformed) {
  test(`${name} is not opened, and the fault names the file`, async (t) => {
    const gitDir = makeScratch(t).repository();
    mkdirSync(join(gitDir, path, '..'), { recursive: true });
    writeFileSync(join(gitDir, path), content);
    const error = await t.throwsAsync(RefStore.open(gitDir, 'sha1'), { instanceOf: TrivetError, code: 'refs_unreadable' });
    t.is((error as TrivetError).fields['path'], path);
  });
}

test('a symbolic link and a name that is not UTF-8 are not opened', async (t) => {
  const { repository } = makeScratch(t);
  const [linked, named] = [repository(), repository()];
  symlinkSync('main', join(linked, A));
  await t.throwsAsync(RefStore.open(linked, 'sha1'), { code: 'refs_unreadable' });
  writeFileSync(Buffer.concat([Buffer.from(`${named}/${A}`), Buffer.from([0xff])]), `${'a'.repeat(40)}\n`);
  await t.throwsAsync(RefStore.open(named, 'sha1'), { code: 'refs_unreadable' });
});

test('the replacement character is a letter like any other', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  git(gitDir, ['update-ref', `${A}\ufffd`, oids[0]!]);
  t.is((await RefStore.open(gitDir, 'sha1')).get(`${A}\ufffd`), oids[0]);
});

test('locks and hidden files are no refs, as with git', async (t) => {
  const gitDir = makeScratch(t).repository();
  writeFileSync(join(gitDir, `${A}.lock`), '');
  writeFileSync(join(gitDir, 'refs/heads/.a'), '');
  t.is((await RefStore.open(gitDir, 'sha1')).size, 0);
});

for (const lock of [`${A}.lock`, 'packed-refs.lock', 'HEAD.lock']) {
  test(`a change that needs ${lock} while another holds it is refused as busy, and leaves the lock alone`, async (t) => {
    const { oids, repository } = makeScratch(t);
    const gitDir = repository();
    git(gitDir, ['update-ref', A, oids[0]!]);
    const store = await RefStore.open(gitDir, 'sha1');
    writeFileSync(join(gitDir, lock), '');
    const files = filesOf(gitDir);
    const change = { updates: [{ ref: A, old: oids[0], new: undefined }, { ref: 'refs/heads/b', old: undefined, new: oids[0] }],
      head: { old: 'refs/heads/main', new: 'refs/heads/b' } };
    await t.throwsAsync(store.prepare(change), { code: 'replica_busy' });
    t.deepEqual(filesOf(gitDir), files);
    t.is(await removeOrphanLocks(gitDir), 1);
    await store.apply(change);
  });
}

test('a prepared ref keeps git update-ref out until it is committed', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const store = await RefStore.open(gitDir, 'sha1');
  const prepared = await store.prepare(to(store, A, oids[0]));
  t.throws(() => git(gitDir, ['update-ref', A, oids[1]!]), { message: /Unable to create.*a\.lock/ });
  await prepared.commit();
  git(gitDir, ['update-ref', A, oids[1]!]);
  t.pass();
});

test('the lock on packed-refs is kept until the loose files of deleted refs are gone', async (t) => {
  const { oids, repository } = makeScratch(t);
  for (const count of [1, 40]) {
    const gitDir = repository();
    const names = Array.from({ length: count }, (_, i) => `refs/heads/${i}`);
    let watching = false;
    const unlinked: string[] = [];
    const store = await RefStore.open(gitDir, 'sha1', (operation, path) => {
      if (!watching || operation !== 'unlink' || !names.includes(path)) return;
      unlinked.push(path);
      t.true(locksOf(gitDir).includes('packed-refs.lock'));
    });
    for (const ref of names) await store.apply(to(store, ref, oids[0]));
    git(gitDir, ['pack-refs', '--all', '--no-prune']);
    watching = true;
    await store.apply({ updates: names.map((ref) => ({ ref, old: oids[0], new: undefined })) });
    t.is(unlinked.length, count);
    t.deepEqual(refsByGit(gitDir), []);
  }
});

test('a second change is refused while one is pending, whatever refs it is about', async (t) => {
  const { oids, repository } = makeScratch(t);
  const store = await RefStore.open(repository(), 'sha1');
  const prepared = await store.prepare(to(store, A, oids[0]));
  await t.throwsAsync(store.prepare(to(store, 'refs/heads/b', oids[0])), { code: 'replica_busy' });
  await t.throwsAsync(store.apply(NOTHING), { code: 'replica_busy' });
  await t.throwsAsync(store.replaceAll('refs/heads/main', []), { code: 'replica_busy' });
  await prepared.abort();
  await store.apply(to(store, 'refs/heads/b', oids[0]));
  t.deepEqual(store.entries(), [['refs/heads/b', oids[0]!]]);
});

test('what was aborted can not be committed, and what was committed is not aborted', async (t) => {
  const { oids, repository } = makeScratch(t);
  const store = await RefStore.open(repository(), 'sha1');
  const aborted = await store.prepare(to(store, A, oids[0]));
  await aborted.abort();
  await t.throwsAsync(aborted.commit(), { message: /aborted/ });
  const committed = await store.prepare(to(store, A, oids[0]));
  await committed.commit();
  await committed.abort();
  t.is(store.get(A), oids[0]);
  t.is(await store.digestFromDisk(), store.digest);
});

const impossible: { name: string; change: (oids: readonly string[]) => RefChange; replays?: boolean }[] = [
  { name: 'another old value', change: ([x, y]) => ({ updates: [{ ref: A, old: y, new: x }] }), replays: true },
  { name: 'another old HEAD', change: () => ({ updates: [], head: { old: 'refs/heads/b', new: A } }), replays: true },
  { name: 'a ref named twice', change: ([x, y]) => ({ updates: [{ ref: A, old: x, new: y }, { ref: A, old: x, new: y }] }) },
  { name: 'a path as ref name', change: ([x]) => ({ updates: [{ ref: 'refs/../../x', old: undefined, new: x }] }) },
  { name: 'half a surrogate pair in a name', change: ([x]) => ({ updates: [{ ref: `${A}\ud83d`, old: undefined, new: x }] }) },
  { name: 'a path as HEAD', change: () => ({ updates: [], head: { old: 'refs/heads/main', new: 'x' } }) },
  { name: 'an id of the wrong format', change: ([x]) => ({ updates: [{ ref: A, old: x, new: 'a'.repeat(64) }] }) },
  { name: 'the zero id', change: ([x]) => ({ updates: [{ ref: A, old: x, new: '0'.repeat(40) }] }) },
  { name: 'a ref below another', change: ([x]) => ({ updates: [{ ref: `${A}/b`, old: undefined, new: x }] }) },
  { name: 'a ref above others', change: ([x]) => ({ updates: [{ ref: 'refs/heads', old: undefined, new: x }] }) },
  { name: 'two new refs, one above the other', change: ([x]) => ({ updates: [
    { ref: 'refs/heads/c/d', old: undefined, new: x }, { ref: 'refs/heads/c', old: undefined, new: x }] }) },
  { name: 'a ref whose path no file can have', change: ([x]) => ({ updates: [
    { ref: `refs/heads${`/${'é'.repeat(120)}`.repeat(20)}`, old: undefined, new: x }] }) },
];

for (const { name, change, replays } of impossible) {
  test(`${name} is refused and leaves nothing behind`, async (t) => {
    const { oids, repository } = makeScratch(t);
    const gitDir = repository();
    const store = await RefStore.open(gitDir, 'sha1');
    await store.apply(to(store, A, oids[0]));
    const files = filesOf(gitDir);
    await t.throwsAsync(store.prepare(change(oids)), { code: 'internal' });
    t.deepEqual(filesOf(gitDir), files);
    if (replays) await store.apply(change(oids));
    else await t.throwsAsync(store.apply(change(oids)), { code: 'internal' });
  });
}

test('a replacement of all refs with a path for a name or refs in each other\'s way is refused', async (t) => {
  const { oids, repository } = makeScratch(t);
  const store = await RefStore.open(repository(), 'sha1');
  for (const names of [['refs/../x'], ['refs/heads/a', 'refs/heads/a/b']]) {
    await t.throwsAsync(store.replaceAll('refs/heads/main', names.map((ref) => [ref, oids[0]!])), { code: 'internal' });
  }
  await t.throwsAsync(store.replaceAll('HEAD', []), { code: 'internal' });
  t.is(store.size, 0);
});

test('a replacement of all refs mends what others moved and what can not be read', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const store = await RefStore.open(gitDir, 'sha1');
  await store.apply(to(store, A, oids[0]));
  const digest = store.digest;
  git(gitDir, ['update-ref', A, oids[1]!]);
  t.is(store.digest, digest);
  t.not(await store.digestFromDisk(), digest);
  writeFileSync(join(gitDir, 'refs/heads/b'), 'rubbish');
  writeFileSync(join(gitDir, 'packed-refs'), 'rubbish');
  writeFileSync(join(gitDir, 'HEAD'), oids[2]!);
  await store.replaceAll('refs/heads/main', [...store.entries()]);
  t.is(await store.digestFromDisk(), digest);
  t.deepEqual(refsByGit(gitDir), [[A, oids[0]]]);
});

test('a replay makes refs so even where memory has them already', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const store = await RefStore.open(gitDir, 'sha1');
  const change = to(store, A, oids[0]);
  await store.apply(change);
  git(gitDir, ['update-ref', A, oids[1]!]);
  await store.apply(change);
  t.is(await store.digestFromDisk(), store.digest);
});

test('empty directories do not keep a ref from its name', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  mkdirSync(join(gitDir, A, 'b/c'), { recursive: true });
  mkdirSync(join(gitDir, A, 'd'));
  const store = await RefStore.open(gitDir, 'sha1');
  await store.apply(to(store, A, oids[0]));
  t.deepEqual(refsByGit(gitDir), [[A, oids[0]]]);
});

test('a directory with files that are no refs is found in the way at prepare, not at commit', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  mkdirSync(join(gitDir, A));
  writeFileSync(join(gitDir, A, 'b.lock'), '');
  const store = await RefStore.open(gitDir, 'sha1');
  await t.throwsAsync(store.prepare(to(store, A, oids[0])), { code: 'refs_unreadable' });
  t.deepEqual(locksOf(gitDir), [`${A}/b.lock`]);
});

test('a directory that is pruned before its lock is made is made again', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  let pruned = 0;
  const store = await RefStore.open(gitDir, 'sha1', (operation, path) => {
    if (operation === 'create' && path === `${A}/b.lock` && pruned++ < 2) rmdirSync(join(gitDir, A));
  });
  await store.apply(to(store, `${A}/b`, oids[0]));
  t.deepEqual(refsByGit(gitDir), [[`${A}/b`, oids[0]]]);
});

test('a deletion takes its empty directories along, but not refs/heads', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const files = filesOf(gitDir);
  const store = await RefStore.open(gitDir, 'sha1');
  for (const name of [`${A}/b/c`, `${A}/b/d`]) await store.apply(to(store, name, oids[0]));
  for (const name of [`${A}/b/c`, `${A}/b/d`]) await store.apply(to(store, name, undefined));
  t.deepEqual(filesOf(gitDir), files);
});

test('a listing that was given out does not change with later commits', async (t) => {
  const { oids, repository } = makeScratch(t);
  const store = await RefStore.open(repository(), 'sha1');
  await store.apply(to(store, A, oids[0]));
  const entries = store.entries();
  await store.apply(to(store, A, oids[1]));
  await store.apply(to(store, 'refs/heads/b', oids[1]));
  t.deepEqual(entries, [[A, oids[0]!]]);
  t.deepEqual(store.entries(), [[A, oids[1]!], ['refs/heads/b', oids[1]!]]);
});

test('a digest read from disk while refs move is that of one moment', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const [x, y] = [oids[0]!, oids[1]!];
  for (let i = 0; i < 600; i++) {
    mkdirSync(join(gitDir, 'refs/heads', String(i)));
    writeFileSync(join(gitDir, 'refs/heads', String(i), 'x'), `${x}\n`);
  }
  const store = await RefStore.open(gitDir, 'sha1');
  const prepared = await store.prepare({ updates: store.entries().map(([ref, old]) => ({ ref, old, new: y })) });
  // The scan lets others run after every 256 files, so it has read some when the commit comes, and not all.
  const reading = store.digestFromDisk();
  await prepared.commit();
  t.is(await reading, prepared.digestAfter);
});

test('leftovers of a killed process are removed with their directories, and nothing else is', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  git(gitDir, ['update-ref', A, oids[0]!]);
  git(gitDir, ['pack-refs', '--all', '--no-prune']);
  const files = filesOf(gitDir);
  mkdirSync(join(gitDir, 'refs/heads/x/y'), { recursive: true });
  const leftovers = [`${A}.lock`, 'refs/heads/x/y/z.lock', 'HEAD.lock', 'packed-refs.lock', 'packed-refs.new'];
  for (const path of leftovers) writeFileSync(join(gitDir, path), '');
  t.is(await removeOrphanLocks(gitDir), leftovers.length);
  t.deepEqual(filesOf(gitDir), files);
  t.is(await removeOrphanLocks(gitDir), 0);
});

test('loose refs torn by a loss of power are removed, and a replay brings them back', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const names = ['refs/heads/a', 'refs/heads/b', 'refs/heads/c'];
  const store = await RefStore.open(gitDir, 'sha1');
  const change = { updates: names.map((ref, i) => ({ ref, old: undefined, new: oids[i] })) };
  await store.apply(change);
  writeFileSync(join(gitDir, names[0]!), '');
  writeFileSync(join(gitDir, names[1]!), '\0'.repeat(41));
  t.deepEqual((await removeTornRefs(gitDir)).sort(), names.slice(0, 2));
  const reopened = await RefStore.open(gitDir, 'sha1');
  t.deepEqual(reopened.entries(), [[names[2]!, oids[2]!]]);
  await reopened.apply(change);
  t.deepEqual(reopened.entries(), store.entries());
  appendFileSync(join(gitDir, names[0]!), '\0');
  t.deepEqual(await removeTornRefs(gitDir), [], 'a damaged ref that still says something is not removed');
});

test('ten thousand refs go in, move and go out in one change each, as git sees it', async (t) => {
  const { oids, repository } = makeScratch(t);
  const gitDir = repository();
  const store = await RefStore.open(gitDir, 'sha1');
  const names = Array.from({ length: 10_000 }, (_, i) => `refs/heads/many/${i % 100}/${i}`);
  await store.apply(to(store, 'refs/heads/main', oids[0]));
  for (const oid of [oids[0], oids[1], undefined]) {
    const prepared = await store.prepare({ updates: names.map((ref) => ({ ref, old: store.get(ref), new: oid })) });
    await prepared.commit();
    t.deepEqual(refsByGit(gitDir), [...store.entries()].map((entry) => [...entry]));
    t.is(store.size, oid === undefined ? 1 : 1 + names.length);
    t.is(await store.digestFromDisk(), prepared.digestAfter);
    t.is(git(gitDir, ['fsck', '--no-dangling', '--no-progress']), '');
  }
});
