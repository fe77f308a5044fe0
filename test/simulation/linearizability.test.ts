import test from 'ava';
import type { Command, Verdict } from '@trivet/proto/vote.ts';
import { RefTable } from '../../replica/refs/ref-table.ts';
import { checkLinearizable, type Operation } from './linearizability.ts';

const HEAD = 'refs/heads/main';
const ZERO = '0'.repeat(40);
const [A, B, C] = ['a', 'b', 'c'].map((digit) => digit.repeat(40)) as [string, string, string];
const STALE = 'incorrect old value provided';
const FAILED = 'atomic transaction failed';

type Refs = Record<string, string>;
type Line =
  | { read: Refs; head?: string; from: number; to: number }
  | { push: [ref: string, old: string, oid: string][]; atomic?: boolean; verdicts?: Verdict[]; from: number; to?: number };

/** Short names of branches stand for themselves. */
function operationsOf(lines: readonly Line[]): Operation[] {
  return lines.map((line, i): Operation => {
    if ('read' in line) {
      const refs = new Map(Object.entries(line.read).map(([name, oid]) => [`refs/heads/${name}`, oid]));
      return { kind: 'read', from: line.from, to: line.to, digest: new RefTable(line.head ?? HEAD, refs).digest, what: `${i}` };
    }
    const commands = line.push.map(([ref, old, oid]): Command => ({ ref: `refs/heads/${ref}`, old, new: oid }));
    return { kind: 'push', from: line.from, to: line.to ?? Infinity, commands, atomic: line.atomic ?? false, verdicts: line.verdicts, what: `${i}` };
  });
}

const GOOD: [name: string, lines: Line[]][] = [
  ['nothing happened', []],
  ['a read of an empty repository', [{ read: {}, from: 0, to: 1 }]],
  ['a push, then a read of it', [{ push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 }, { read: { main: A }, from: 2, to: 3 }]],
  ['a read beside a push may see it', [{ push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 9 }, { read: { main: A }, from: 1, to: 2 }]],
  ['a read beside a push may not see it', [{ push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 9 }, { read: {}, from: 1, to: 2 }]],
  ['a read that began before a push and ended after it sees either', [{ read: {}, from: 0, to: 9 }, { push: [['main', ZERO, A]], verdicts: ['ok'], from: 1, to: 2 }]],
  ['of two pushes from one value, one is stale', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 5 }, { push: [['main', ZERO, B]], verdicts: [STALE], from: 1, to: 6 }, { read: { main: A }, from: 7, to: 8 },
  ]],
  ['a push of unknown outcome that is seen', [{ push: [['main', ZERO, A]], from: 0 }, { read: { main: A }, from: 5, to: 6 }]],
  ['a push of unknown outcome that is never seen', [{ push: [['main', ZERO, A]], from: 0 }, { read: {}, from: 5, to: 6 }]],
  ['a push of unknown outcome that takes effect late', [
    { push: [['main', ZERO, A]], from: 0 }, { read: {}, from: 5, to: 6 }, { read: { main: A }, from: 7, to: 8 },
  ]],
  ['a push of unknown outcome without which a later one could not be', [
    { push: [['main', ZERO, A]], from: 0 }, { push: [['main', A, B]], verdicts: ['ok'], from: 5, to: 6 }, { read: { main: B }, from: 7, to: 8 },
  ]],
  ['a push of two refs of which one is refused', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 }, { push: [['main', B, C], ['x', ZERO, B]], verdicts: [STALE, 'ok'], from: 2, to: 3 },
    { read: { main: A, x: B }, from: 4, to: 5 },
  ]],
  ['an atomic push that is refused as a whole', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 },
    { push: [['main', B, C], ['x', ZERO, B]], atomic: true, verdicts: [STALE, FAILED], from: 2, to: 3 }, { read: { main: A }, from: 4, to: 5 },
  ]],
  ['a deletion', [
    { push: [['main', ZERO, A], ['x', ZERO, A]], verdicts: ['ok', 'ok'], from: 0, to: 1 }, { push: [['x', A, ZERO]], verdicts: ['ok'], from: 2, to: 3 },
    { read: { main: A }, from: 4, to: 5 },
  ]],
  ['a verdict that has nothing to do with refs', [{ push: [['main', ZERO, A]], verdicts: ['funny refname'], from: 0, to: 1 }, { read: {}, from: 2, to: 3 }]],
];

const BAD: [name: string, lines: Line[]][] = [
  ['an acknowledged push that a later read misses', [{ push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 }, { read: {}, from: 2, to: 3 }]],
  ['reads that go back', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 9 }, { read: { main: A }, from: 1, to: 2 }, { read: {}, from: 3, to: 4 },
  ]],
  ['a value that nobody pushed', [{ read: { main: C }, from: 0, to: 1 }]],
  ['two pushes from one value, both acknowledged', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 5 }, { push: [['main', ZERO, B]], verdicts: ['ok'], from: 1, to: 6 },
  ]],
  ['a push refused as stale that was not', [{ push: [['main', ZERO, A]], verdicts: [STALE], from: 0, to: 1 }]],
  ['a refused push that is seen', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 }, { push: [['main', B, C]], verdicts: [STALE], from: 2, to: 3 }, { read: { main: C }, from: 4, to: 5 },
  ]],
  ['half of an atomic push', [
    { push: [['main', ZERO, A], ['x', ZERO, B]], atomic: true, verdicts: ['ok', 'ok'], from: 0, to: 9 }, { read: { main: A }, from: 1, to: 2 },
  ]],
  ['half of a push of unknown outcome', [{ push: [['main', ZERO, A], ['x', ZERO, B]], from: 0 }, { read: { x: B }, head: 'refs/heads/x', from: 5, to: 6 }]],
  ['a push of unknown outcome that is undone', [
    { push: [['main', ZERO, A]], from: 0 }, { read: { main: A }, from: 5, to: 6 }, { read: {}, from: 7, to: 8 },
  ]],
  ['a push seen before it was sent', [{ read: { main: A }, from: 0, to: 1 }, { push: [['main', ZERO, A]], verdicts: ['ok'], from: 2, to: 3 }]],
  ['an update that was lost behind a newer one', [
    { push: [['main', ZERO, A]], verdicts: ['ok'], from: 0, to: 1 }, { push: [['main', A, B]], verdicts: ['ok'], from: 2, to: 3 }, { read: { main: A }, from: 4, to: 5 },
  ]],
];

for (const [name, lines] of GOOD) {
  test(`linearizable: ${name}`, (t) => { t.is(checkLinearizable(operationsOf(lines), HEAD).result, 'linearizable'); });
}

for (const [name, lines] of BAD) {
  test(`not linearizable: ${name}`, (t) => { t.is(checkLinearizable(operationsOf(lines), HEAD).result, 'impossible'); });
}

test('many pushes at once are searched in time, because a state that was seen is not searched again', (t) => {
  const pushes = Array.from({ length: 14 }, (_, i): Line => ({ push: [[`b${i}`, ZERO, A]], verdicts: ['ok'], from: i / 100, to: 50 }));
  const all = Object.fromEntries(pushes.map((_, i) => [`b${i}`, A]));
  const main: Line = { push: [['main', ZERO, A]], verdicts: ['ok'], from: -2, to: -1 };
  t.is(checkLinearizable(operationsOf([main, ...pushes, { read: { main: A, ...all }, from: 60, to: 61 }]), HEAD).result, 'linearizable');
});
