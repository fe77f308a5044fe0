import test from 'ava';
import type { Policy } from '@trivet/proto/messages.ts';
import { judgeCommands, type ObjectFacts } from './verdicts.ts';

const ZERO = '0'.repeat(40);
const oid = (digit: number) => String(digit).repeat(40);
const [COMMIT, OLD, BLOB, TAG, TREE, ABSENT, ELSEWHERE] = [oid(1), oid(2), oid(3), oid(4), oid(5), oid(6), oid(7)];
const facts: ObjectFacts = {
  typeOf: (id) => ({
    [COMMIT]: 'commit', [OLD]: 'commit', [ELSEWHERE]: 'commit', [BLOB]: 'blob', [TAG]: 'tag', [TREE]: 'tree',
  } as const)[id],
  // OLD — COMMIT, and ELSEWHERE beside them.
  isAncestor: async (ancestor, descendant) => ancestor === descendant || (ancestor === OLD && descendant === COMMIT),
};
const free: Policy = { denyDeletes: false, denyNonFastForwards: false };
const strict: Policy = { denyDeletes: true, denyNonFastForwards: true };

const TABLE: [name: string, ref: string, before: string, after: string, policy: Policy, verdict: string][] = [
  ['a new branch', 'refs/heads/x', ZERO, COMMIT, strict, 'ok'],
  ['a branch that moves forward', 'refs/heads/x', OLD, COMMIT, strict, 'ok'],
  ['a branch that moves sideways', 'refs/heads/x', ELSEWHERE, COMMIT, strict, 'non-fast-forward'],
  ['a branch that moves back', 'refs/heads/x', COMMIT, OLD, strict, 'non-fast-forward'],
  ['a branch that moves sideways where that is allowed', 'refs/heads/x', ELSEWHERE, COMMIT, free, 'ok'],
  ['a branch that stays', 'refs/heads/x', COMMIT, COMMIT, strict, 'ok'],
  ['a branch that is deleted', 'refs/heads/x', COMMIT, ZERO, free, 'ok'],
  ['a branch that is deleted where that is denied', 'refs/heads/x', COMMIT, ZERO, strict, 'deletion prohibited'],
  ['a tag that is deleted where that is denied', 'refs/tags/x', TAG, ZERO, strict, 'deletion prohibited'],
  ['a branch at a blob', 'refs/heads/x', ZERO, BLOB, free, 'a branch can only point at a commit'],
  ['a branch at a tag object', 'refs/heads/x', ZERO, TAG, free, 'a branch can only point at a commit'],
  ['a tag at a tag object', 'refs/tags/x', ZERO, TAG, strict, 'ok'],
  ['a tag at a blob', 'refs/tags/x', ZERO, BLOB, strict, 'ok'],
  ['a tag that moves sideways', 'refs/tags/x', ELSEWHERE, COMMIT, strict, 'ok'],
  ['a ref outside heads and tags at a tree', 'refs/notes/x', ZERO, TREE, strict, 'ok'],
  ['a value that is not here', 'refs/heads/x', ZERO, ABSENT, free, 'missing necessary objects'],
  ['one of our own refs', 'refs/trivet/x', ZERO, COMMIT, free, 'deny updating a hidden ref'],
  ['one of our own refs, deleted', 'refs/trivet/x', COMMIT, ZERO, free, 'deny updating a hidden ref'],
  ['a name that climbs', 'refs/heads/../x', ZERO, COMMIT, free, 'funny refname'],
  ['a name outside refs/', 'HEAD', ZERO, COMMIT, free, 'funny refname'],
  ['a name that git reads as a lock', 'refs/heads/x.lock', ZERO, COMMIT, free, 'funny refname'],
];
for (const [name, ref, before, after, policy, verdict] of TABLE) {
  test(`${name}: ${verdict}`, async (t) => {
    t.deepEqual(await judgeCommands([{ ref, old: before, new: after }], policy, facts), [verdict]);
  });
}

test('each command has a verdict of its own, in their order', async (t) => {
  const commands = TABLE.map(([, ref, old, after]) => ({ ref, old, new: after }));
  const apart = await Promise.all(commands.map(async (command) => (await judgeCommands([command], strict, facts))[0]));
  t.deepEqual(await judgeCommands(commands, strict, facts), apart);
});

test('history is not walked where nobody asked for fast-forwards', async (t) => {
  const untouched: ObjectFacts = { ...facts, isAncestor: async () => t.fail() as never };
  await judgeCommands([{ ref: 'refs/heads/x', old: ELSEWHERE, new: COMMIT }], free, untouched);
  const commands = [{ ref: 'refs/heads/x', old: ZERO, new: COMMIT }, { ref: 'refs/tags/x', old: OLD, new: COMMIT }];
  await judgeCommands(commands, strict, untouched);
  t.pass();
});
