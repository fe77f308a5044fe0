import test from 'ava';
import fc from 'fast-check';
import { zeroOid, type ObjectFormat, type Oid } from '@trivet/proto/object-format.ts';
import { planBatch } from './plan.ts';
import { MAX_LOOSE_UPDATES, RefStore, type RefChange } from './ref-store.ts';
import { git, locksOf, makeScratch, refsByGit } from './scratch-repository.ts';

// The naive twin: what git update-ref makes of the same changes in another repository.

const NAMES = [
  'refs/heads/main', 'refs/heads/master', 'refs/heads/a', 'refs/heads/a/b', 'refs/heads/a/b/c', 'refs/heads/a.b',
  'refs/heads/é', 'refs/heads/\ue000', 'refs/heads/😀', 'refs/tags/v1', 'refs/tags/v1/x', 'refs/notes/n', 'refs/bisect/x',
  'refs/pull/1/head', 'refs/x',
];

type Step =
  | { kind: 'push'; commands: { ref: string; old: number | undefined; next: number | undefined }[]; atomic: boolean; end: 'commit' | 'abort' | 'apply' }
  | { kind: 'bulk'; next: number | undefined; end: 'commit' }
  | { kind: 'replace' }
  | { kind: 'pack' }
  | { kind: 'reopen' };

const value = fc.option(fc.nat({ max: 4 }), { nil: undefined });
const steps: fc.Arbitrary<Step[]> = fc.array(fc.oneof(
  { weight: 8, arbitrary: fc.record({
    kind: fc.constant('push' as const),
    commands: fc.uniqueArray(fc.record({ ref: fc.constantFrom(...NAMES), old: value, next: value }),
      { selector: ({ ref }) => ref, minLength: 1, maxLength: 6 }),
    atomic: fc.boolean(),
    end: fc.constantFrom('commit' as const, 'commit' as const, 'abort' as const, 'apply' as const),
  }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('bulk' as const), next: value, end: fc.constant('commit' as const) }) },
  { weight: 3, arbitrary: fc.constantFrom<Step>({ kind: 'replace' }, { kind: 'pack' }, { kind: 'reopen' }) },
), { minLength: 1, maxLength: 10 });

for (const format of ['sha1', 'sha256'] as const) {
  test(`a ${format} repository goes through any changes as git's own update-ref would take it`, async (t) => {
    const scratch = makeScratch(t, format);
    await fc.assert(fc.asyncProperty(steps, async (sequence) => {
      const [mine, twin] = [scratch.repository(), scratch.repository()];
      let store = await RefStore.open(mine, format);
      for (const step of sequence) {
        switch (step.kind) {
          case 'reopen': store = await RefStore.open(mine, format); break;
          case 'pack': git(mine, ['pack-refs', '--all']); break;
          case 'replace': await replaceSome(store, twin); break;
          case 'push':
          case 'bulk': await push(store, step, twin, format, [...scratch.oids, scratch.tag]); break;
        }
        t.deepEqual(locksOf(mine), []);
        t.deepEqual(refsByGit(mine), refsByGit(twin));
        t.deepEqual(store.entries(), refsByGit(mine));
        t.is(git(mine, ['for-each-ref', '--format=%(refname) %(*objectname)']), git(twin, ['for-each-ref', '--format=%(refname) %(*objectname)']));
        t.is(git(mine, ['symbolic-ref', 'HEAD']), `${store.head}\n`);
        t.is(git(twin, ['symbolic-ref', 'HEAD']), `${store.head}\n`);
        const reopened = await RefStore.open(mine, format);
        t.deepEqual(reopened.entries(), store.entries());
        t.is(reopened.digest, store.digest);
        t.is(await store.digestFromDisk(), store.digest);
        t.is(store.size, store.entries().length);
      }
    }), { numRuns: format === 'sha1' ? 40 : 8 });
  });
}

async function push(
  store: RefStore, step: Extract<Step, { kind: 'push' | 'bulk' }>, twin: string, format: ObjectFormat, oids: Oid[],
): Promise<void> {
  const oid = (i: number | undefined) => (i === undefined ? zeroOid(format) : oids[i]!);
  const commands = step.kind === 'push'
    ? step.commands.map(({ ref, old, next }) => ({ ref, old: store.get(ref) ?? oid(old), new: oid(next) }))
    : Array.from({ length: MAX_LOOSE_UPDATES + 1 }, (_, i) => `refs/heads/a/${i}`)
      .map((ref) => ({ ref, old: store.get(ref) ?? zeroOid(format), new: oid(step.next) }));
  // git lets branches point at commit objects only, and so does the vote.
  const verdicts = commands.map((command) => (command.ref.startsWith('refs/heads/') && command.new === oid(4) ? 'no' : 'ok'));
  const { change } = planBatch(store, [{ commands, atomic: step.kind === 'push' && step.atomic, verdicts }]);
  if (step.end === 'apply') {
    await store.apply(change);
    await store.apply(change);
  } else {
    const before = store.digest;
    const prepared = await store.prepare(change);
    if (store.digest !== before) throw new Error('a prepared change is visible');
    await prepared[step.end]();
    await prepared[step.end]();
    if (step.end === 'abort') return;
    if (store.digest !== prepared.digestAfter) throw new Error('the digest is not the one that was announced');
  }
  updateTwin(twin, change);
}

/** Deletions in a transaction of their own: git 2.39 refuses to replace a ref by a directory in one. */
function updateTwin(twin: string, { updates, head }: RefChange): void {
  const deletions = updates.filter((update) => update.new === undefined);
  git(twin, ['update-ref', '--stdin', '-z'], deletions.map(({ ref, old }) => `delete ${ref}\0${old}\0`).join(''));
  git(twin, ['update-ref', '--stdin', '-z'], updates.filter((update) => update.new !== undefined)
    .map(({ ref, old, new: oid }) => (old === undefined ? `create ${ref}\0${oid}\0` : `update ${ref}\0${oid}\0${old}\0`)).join(''));
  if (head) git(twin, ['symbolic-ref', 'HEAD', head.new]);
}

/** Every second ref stays, and HEAD moves to the first branch among them. */
async function replaceSome(store: RefStore, twin: string): Promise<void> {
  const kept = store.entries().filter((_, i) => i % 2 === 0);
  const head = kept.find(([name]) => name.startsWith('refs/heads/'))?.[0] ?? 'refs/heads/main';
  updateTwin(twin, {
    updates: store.entries().filter((_, i) => i % 2 === 1).map(([ref, old]) => ({ ref, old, new: undefined })),
    head: { old: store.head, new: head },
  });
  await store.replaceAll(head, kept);
}
