import test from 'ava';
import type { HistoryRecord, Outcome, Value } from '../history/history.ts';
import { judgeHistory } from './history.ts';

const REF = 'refs/heads/main';

function push(begin: number, end: number, old: Value, value: Value, outcome: Outcome = 'ok', ref = REF): HistoryRecord {
  return { type: 'push', client: 'client1', repository: 'r', controller: 'controller1', atomic: false, force: false, begin, end, updates: [{ ref, old, new: value, outcome }] };
}

function read(begin: number, end: number, refs: Record<string, string>): HistoryRecord {
  return { type: 'read', how: 'ls-remote', client: 'client2', repository: 'r', controller: 'controller2', begin, end, ok: true, refs };
}

function failed(text: string): HistoryRecord {
  return { type: 'read', how: 'clone', client: 'client2', repository: 'r', controller: 'controller2', begin: 0, end: 1, ok: false, refs: {}, text };
}

const promises = (history: HistoryRecord[]) => judgeHistory(history).map((violation) => violation.promise);

test('a good history is found good', (t) => {
  t.deepEqual(promises([
    push(0, 1, null, 'a'), push(2, 3, 'a', 'x', 'rejected'), push(2, 9, 'a', 'b', 'unknown'), read(4, 5, { [REF]: 'a' }), read(6, 7, { [REF]: 'b' }),
    failed('fatal: unable to access http://…: Connection reset by peer'),
  ]), []);
});

test('an acknowledged push that a later read misses is a broken promise', (t) => {
  t.deepEqual(promises([push(0, 1, null, 'a'), push(2, 3, 'a', 'b'), read(4, 5, { [REF]: 'a' })]), ['every acknowledged push is seen by every later read, and every ref moves only from where it is']);
});

test('a ref that a later read does not list is a broken promise', (t) => {
  t.is(promises([push(0, 1, null, 'a'), read(4, 5, {})]).length, 1);
});

test('a rejected push that is seen is a broken promise, even if it was seen before the rejection', (t) => {
  t.true(promises([push(0, 9, null, 'a', 'rejected'), read(1, 2, { [REF]: 'a' })]).includes('a rejected push is never visible'));
});

test('an atomic pair that is seen in part is a broken promise', (t) => {
  const pair = ['refs/heads/pair-a', 'refs/heads/pair-b'] as const;
  const pushes = pair.map((ref) => push(0, 9, null, 'p', 'ok', ref));
  t.deepEqual(promises([...pushes, read(1, 2, { [pair[0]]: 'p', [pair[1]]: 'p' })]), []);
  t.deepEqual(promises([...pushes, read(1, 2, { [pair[0]]: 'p' })]), ['an atomic push is seen as a whole or not at all']);
});

test('a read that fails for want of an object is a broken promise', (t) => {
  t.is(promises([failed('fatal: remote error: upload-pack: not our ref 1234')]).length, 1);
  t.is(promises([failed('fsck: missing blob 1234')]).length, 1);
});

test('a client may be sent a flipped bit until all is repaired, of the repository alone that it is in', (t) => {
  const flip: HistoryRecord = { type: 'fault', id: 1, kind: 'flip-bit', what: '', replicas: ['id-of-r'], begin: 0, end: 0 };
  const sent = failed('error: inflate: data stream error (incorrect data check)\nfatal: index-pack failed');
  const ids = new Map([['r', 'id-of-r'], ['other', 'id-of-other']]);
  const count = (history: HistoryRecord[]) => judgeHistory(history, ids).length;
  t.is(count([flip, sent]), 0);
  t.is(count([sent]), 1);
  t.is(count([{ ...flip, kind: 'edit-ref' }, sent]), 1);
  t.is(count([{ ...flip, begin: 2, end: 2 }, sent]), 1);
  t.is(count([{ ...flip, replicas: ['id-of-other'] }, sent]), 1);
  t.is(count([flip, { ...sent, how: 'final' } as HistoryRecord]), 1);
  t.is(count([flip, failed('fsck: missing blob 1234')]), 1);
});
