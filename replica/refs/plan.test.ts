import test from 'ava';
import fc from 'fast-check';
import type { Command } from '@trivet/proto/vote.ts';
import { planBatch, type PlannedTransaction } from './plan.ts';
import { RefTable } from './ref-table.ts';

const ZERO = '0'.repeat(40);
const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const INCORRECT = 'incorrect old value provided';
const ATOMIC = 'atomic transaction failed';

interface Row {
  name: string;
  refs?: Record<string, string>;
  head?: string;
  pushes: { commands: [ref: string, old: string, next: string][]; head?: string; atomic?: boolean; verdicts?: string[] }[];
  verdicts: string[][];
  /** Without old values: those are the refs'. */
  change: Record<string, string | undefined>;
  movesHeadTo?: string;
  generations: number;
}

const rows: Row[] = [
  { name: 'a creation, an update and a deletion move their refs', refs: { 'refs/heads/u': A, 'refs/heads/d': A },
    pushes: [{ commands: [['refs/heads/c', ZERO, A], ['refs/heads/u', A, B], ['refs/heads/d', A, ZERO]] }],
    verdicts: [['ok', 'ok', 'ok']], change: { 'refs/heads/c': A, 'refs/heads/u': B, 'refs/heads/d': undefined },
    movesHeadTo: 'refs/heads/c', generations: 1 },
  { name: 'an update of a ref that is elsewhere is refused', refs: { 'refs/heads/u': B },
    pushes: [{ commands: [['refs/heads/u', A, B]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'an update of a ref that does not exist is refused',
    pushes: [{ commands: [['refs/heads/u', A, B]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'the creation of a ref that exists is refused', refs: { 'refs/heads/u': A },
    pushes: [{ commands: [['refs/heads/u', ZERO, B]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'deleting a ref that is elsewhere is refused', refs: { 'refs/heads/u': A },
    pushes: [{ commands: [['refs/heads/u', B, ZERO]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'deleting an existing ref without naming its value is refused', refs: { 'refs/heads/u': A },
    pushes: [{ commands: [['refs/heads/u', ZERO, ZERO]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'deleting what does not exist is fine when the client knows, and moves nothing',
    pushes: [{ commands: [['refs/heads/u', ZERO, ZERO]] }], verdicts: [['ok']], change: {}, generations: 0 },
  { name: 'deleting what does not exist is refused when the client thinks it does',
    pushes: [{ commands: [['refs/heads/u', A, ZERO]] }], verdicts: [[INCORRECT]], change: {}, generations: 0 },
  { name: 'an update to the present value is fine and moves nothing', refs: { 'refs/heads/u': A },
    pushes: [{ commands: [['refs/heads/u', A, A]] }], verdicts: [['ok']], change: {}, generations: 0 },
  { name: 'a refusal of the vote is final',
    pushes: [{ commands: [['refs/heads/c', ZERO, A], ['refs/heads/d', ZERO, A]], verdicts: ['no', 'ok'] }],
    verdicts: [['no', 'ok']], change: { 'refs/heads/d': A }, movesHeadTo: 'refs/heads/d', generations: 1 },
  { name: 'the branch HEAD points at is not deleted', refs: { 'refs/heads/main': A },
    pushes: [{ commands: [['refs/heads/main', A, ZERO]] }],
    verdicts: [['deletion of the current branch prohibited']], change: {}, generations: 0 },
  { name: 'the branch HEAD points at is not deleted by a later push than the one that created it',
    pushes: [{ commands: [['refs/heads/main', ZERO, A]] }, { commands: [['refs/heads/main', A, ZERO]] }],
    verdicts: [['ok'], ['deletion of the current branch prohibited']], change: { 'refs/heads/main': A }, generations: 1 },
  { name: 'HEAD moves to a branch that is there, and counts as a generation', refs: { 'refs/heads/main': A, 'refs/heads/b': A },
    pushes: [{ commands: [], head: 'refs/heads/b' }], verdicts: [['ok']], change: {}, movesHeadTo: 'refs/heads/b', generations: 1 },
  { name: 'HEAD stays where it points at already, and that moves nothing', refs: { 'refs/heads/main': A },
    pushes: [{ commands: [], head: 'refs/heads/main' }], verdicts: [['ok']], change: {}, generations: 0 },
  { name: 'HEAD does not move to a branch that is not there', refs: { 'refs/heads/main': A },
    pushes: [{ commands: [], head: 'refs/heads/b' }], verdicts: [['no such branch']], change: {}, generations: 0 },
  { name: 'where there are no branches HEAD may point at any', refs: { 'refs/tags/t': A },
    pushes: [{ commands: [], head: 'refs/heads/b' }], verdicts: [['ok']], change: {}, movesHeadTo: 'refs/heads/b', generations: 1 },
  { name: 'HEAD moves to a branch that the same transaction creates, whichever would have been taken otherwise',
    pushes: [{ commands: [['refs/heads/main', ZERO, A], ['refs/heads/b', ZERO, A]], head: 'refs/heads/b', atomic: true }],
    verdicts: [['ok', 'ok', 'ok']], change: { 'refs/heads/main': A, 'refs/heads/b': A }, movesHeadTo: 'refs/heads/b', generations: 1 },
  { name: 'an atomic transaction that can not move HEAD moves nothing', refs: { 'refs/heads/main': A },
    pushes: [{ commands: [['refs/heads/b', ZERO, A]], head: 'refs/heads/c', atomic: true }],
    verdicts: [[ATOMIC, 'no such branch']], change: {}, generations: 0 },
  { name: 'a refusal of HEAD by the vote is final', refs: { 'refs/heads/main': A, 'refs/heads/b': A },
    pushes: [{ commands: [], head: 'refs/heads/b', verdicts: ['no'] }], verdicts: [['no']], change: {}, generations: 0 },
  { name: 'what HEAD pointed at before may be deleted by the next push', refs: { 'refs/heads/main': A, 'refs/heads/b': A },
    pushes: [{ commands: [], head: 'refs/heads/b' }, { commands: [['refs/heads/main', A, ZERO]] }],
    verdicts: [['ok'], ['ok']], change: { 'refs/heads/main': undefined }, movesHeadTo: 'refs/heads/b', generations: 2 },
  { name: 'a push sees the pushes before it in the batch', refs: { 'refs/tags/t': A },
    pushes: [{ commands: [['refs/tags/t', A, B]] }, { commands: [['refs/tags/t', A, B]] },
      { commands: [['refs/tags/t', B, ZERO]] }],
    verdicts: [['ok'], [INCORRECT], ['ok']], change: { 'refs/tags/t': undefined }, generations: 2 },
  { name: 'what a batch moves there and back drops out of the change but counts as generations',
    refs: { 'refs/tags/t': A },
    pushes: [{ commands: [['refs/tags/t', A, B]] }, { commands: [['refs/tags/t', B, A]] }],
    verdicts: [['ok'], ['ok']], change: {}, generations: 2 },
  { name: 'a ref can not be created below another', refs: { 'refs/tags/a': A },
    pushes: [{ commands: [['refs/tags/a/b/c', ZERO, A]] }],
    verdicts: [["directory/file conflict with 'refs/tags/a'"]], change: {}, generations: 0 },
  { name: 'a ref can not be created above another', refs: { 'refs/tags/a/b/c': A },
    pushes: [{ commands: [['refs/tags/a', ZERO, A]] }],
    verdicts: [["directory/file conflict with 'refs/tags/a/'"]], change: {}, generations: 0 },
  { name: 'of two conflicting creations in one push the first wins',
    pushes: [{ commands: [['refs/tags/a/b', ZERO, A], ['refs/tags/a', ZERO, A], ['refs/tags/a/b/c', ZERO, A]] }],
    verdicts: [['ok', "directory/file conflict with 'refs/tags/a/'", "directory/file conflict with 'refs/tags/a/b'"]],
    change: { 'refs/tags/a/b': A }, generations: 1 },
  { name: 'a deletion frees the name for a directory, even when named after the creation', refs: { 'refs/tags/a': A },
    pushes: [{ commands: [['refs/tags/a/b', ZERO, A], ['refs/tags/a', A, ZERO]], atomic: true }],
    verdicts: [['ok', 'ok']], change: { 'refs/tags/a/b': A, 'refs/tags/a': undefined }, generations: 1 },
  { name: 'the deletion of the last ref below frees the name of a directory',
    refs: { 'refs/tags/a/b': A, 'refs/tags/a/c': A },
    pushes: [{ commands: [['refs/tags/a/b', A, ZERO], ['refs/tags/a', ZERO, A]] },
      { commands: [['refs/tags/a/c', A, ZERO], ['refs/tags/a', ZERO, A]] }],
    verdicts: [['ok', "directory/file conflict with 'refs/tags/a/'"], ['ok', 'ok']],
    change: { 'refs/tags/a': A, 'refs/tags/a/b': undefined, 'refs/tags/a/c': undefined }, generations: 2 },
  { name: 'a refused deletion frees nothing', refs: { 'refs/tags/a': A },
    pushes: [{ commands: [['refs/tags/a', B, ZERO], ['refs/tags/a/b', ZERO, A]] }],
    verdicts: [[INCORRECT, "directory/file conflict with 'refs/tags/a'"]], change: {}, generations: 0 },
  { name: 'one refusal takes the whole atomic push along and leaves the next its field', refs: { 'refs/tags/a': A },
    pushes: [{ commands: [['refs/tags/a', A, ZERO], ['refs/tags/a/b', ZERO, A], ['refs/tags/c', A, B]], atomic: true },
      { commands: [['refs/tags/a', A, B]] }],
    verdicts: [[ATOMIC, ATOMIC, INCORRECT], ['ok']], change: { 'refs/tags/a': B }, generations: 1 },
  { name: 'a refusal of the vote takes the whole atomic push along',
    pushes: [{ commands: [['refs/tags/a', ZERO, A], ['refs/tags/b', ZERO, A]], atomic: true, verdicts: ['ok', 'no'] }],
    verdicts: [[ATOMIC, 'no']], change: {}, generations: 0 },
  { name: 'an unborn HEAD stays when its branch is created', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/heads/main', ZERO, A], ['refs/heads/trunk', ZERO, A]] }],
    verdicts: [['ok', 'ok']], change: { 'refs/heads/main': A, 'refs/heads/trunk': A }, generations: 1 },
  { name: 'an unborn HEAD moves to main before all others', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/heads/x', ZERO, A], ['refs/heads/master', ZERO, A], ['refs/heads/main', ZERO, A]] }],
    verdicts: [['ok', 'ok', 'ok']], change: { 'refs/heads/x': A, 'refs/heads/master': A, 'refs/heads/main': A },
    movesHeadTo: 'refs/heads/main', generations: 1 },
  { name: 'an unborn HEAD moves to master when there is no main', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/heads/x', ZERO, A], ['refs/heads/master', ZERO, A]] }],
    verdicts: [['ok', 'ok']], change: { 'refs/heads/x': A, 'refs/heads/master': A },
    movesHeadTo: 'refs/heads/master', generations: 1 },
  { name: 'an unborn HEAD follows the first push of a batch, as if that had come alone', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/heads/x', ZERO, A]] }, { commands: [['refs/heads/main', ZERO, A]] }],
    verdicts: [['ok'], ['ok']], change: { 'refs/heads/x': A, 'refs/heads/main': A },
    movesHeadTo: 'refs/heads/x', generations: 2 },
  { name: 'a branch that an unborn HEAD has moved to is not deleted by a later push of the batch', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/heads/x', ZERO, A]] }, { commands: [['refs/heads/x', A, ZERO]] }],
    verdicts: [['ok'], ['deletion of the current branch prohibited']], change: { 'refs/heads/x': A },
    movesHeadTo: 'refs/heads/x', generations: 1 },
  { name: 'an unborn HEAD moves to the first branch created, not to a tag', head: 'refs/heads/trunk',
    pushes: [{ commands: [['refs/tags/a', ZERO, A], ['refs/heads/z', ZERO, A], ['refs/heads/b', ZERO, A]] }],
    verdicts: [['ok', 'ok', 'ok']], change: { 'refs/tags/a': A, 'refs/heads/z': A, 'refs/heads/b': A },
    movesHeadTo: 'refs/heads/z', generations: 1 },
  { name: 'an unborn HEAD does not move to a branch that was there before', refs: { 'refs/heads/x': A },
    pushes: [{ commands: [['refs/heads/x', A, B]] }],
    verdicts: [['ok']], change: { 'refs/heads/x': B }, generations: 1 },
];

for (const row of rows) {
  test(row.name, (t) => {
    const refs = new Map(Object.entries(row.refs ?? {}));
    const head = row.head ?? 'refs/heads/main';
    const table = new RefTable(head, new Map(refs));
    const before = table.digest;
    const transactions = row.pushes.map(({ commands, head, atomic = false, verdicts }): PlannedTransaction => ({
      commands: commands.map(([ref, old, next]) => ({ ref, old, new: next })),
      atomic,
      ...(head === undefined ? {} : { head }),
      verdicts: verdicts ?? [...commands, ...(head === undefined ? [] : [head])].map(() => 'ok'),
    }));
    const plan = planBatch(table, transactions);
    t.deepEqual(plan.verdicts, row.verdicts);
    t.deepEqual(Object.fromEntries(plan.change.updates.map((update) => [update.ref, update.new])), row.change);
    for (const { ref, old } of plan.change.updates) t.is(old, refs.get(ref));
    t.deepEqual(plan.change.head, row.movesHeadTo === undefined ? undefined : { old: head, new: row.movesHeadTo });
    t.is(plan.generations, row.generations);
    t.is(table.digest, before, 'planning moves nothing');
  });
}

test('a transaction without a verdict for each command is refused', (t) => {
  const commands: Command[] = [{ ref: 'refs/heads/a', old: ZERO, new: A }];
  const table = new RefTable('refs/heads/main', new Map());
  t.throws(() => planBatch(table, [{ commands, atomic: false, verdicts: [] }]), { message: /1 commands has 0 verdicts/ });
});

test('a batch ends where its pushes end one by one', (t) => {
  const oid = fc.constantFrom(ZERO, A, B);
  const command = fc.record({ ref: fc.constantFrom('a', 'a/b', 'a/b/c', 'd', 'd/e').map((name) => `refs/heads/${name}`),
    old: oid, new: oid });
  const transaction = fc.record({ commands: fc.uniqueArray(command, { selector: ({ ref }) => ref, maxLength: 4 }),
    head: fc.option(fc.constantFrom('refs/heads/a', 'refs/heads/main', 'refs/heads/nowhere'), { nil: undefined }),
    atomic: fc.boolean() }).map((push) => ({ ...push, verdicts: [...push.commands, ...(push.head === undefined ? [] : [0])].map(() => 'ok') }));
  const heads = fc.constantFrom('refs/heads/main', 'refs/heads/unborn');
  fc.assert(fc.property(heads, fc.array(transaction, { maxLength: 8 }), (head, pushes) => {
    const refs = () => new RefTable(head, new Map([['refs/heads/main', A], ['refs/heads/a', A]]));
    const whole = refs();
    const plan = planBatch(whole, pushes);
    whole.install(plan.change, whole.digestAfter(plan.change));
    const single = refs();
    const verdicts = pushes.map((push) => {
      const step = planBatch(single, [push]);
      single.install(step.change, single.digestAfter(step.change));
      return step.verdicts[0];
    });
    t.deepEqual(plan.verdicts, verdicts);
    t.deepEqual(whole.entries(), single.entries());
    t.is(whole.head, single.head);
    t.is(whole.digest, new RefTable(whole.head, new Map(whole.entries())).digest);
    for (const [name] of whole.entries()) t.false(whole.hasBelow(name));
  }), { numRuns: 500 });
});

test('ten thousand directories can become refs in one push', (t) => {
  const names = Array.from({ length: 10_000 }, (_, i) => `refs/tags/${i}`);
  const table = new RefTable('refs/heads/main', new Map(names.map((name) => [`${name}/x`, A])));
  const commands = names.flatMap((ref) => [{ ref, old: ZERO, new: A }, { ref: `${ref}/x`, old: A, new: ZERO }]);
  const plan = planBatch(table, [{ commands, atomic: true, verdicts: commands.map(() => 'ok') }]);
  t.is(plan.change.updates.length, 20_000);
});
