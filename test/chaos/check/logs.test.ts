import test from 'ava';
import { errorsOf } from './logs.ts';

const info = '{"level":30,"time":1,"node":"node1","msg":"the node is ready"}';
const unexpected = '{"level":50,"time":1,"node":"node1","err":{"type":"TypeError","message":"x is undefined"},"msg":"unexpected error"}';
const full = '{"level":50,"time":1,"node":"node1","err":{"message":"ENOSPC: no space left on device, write"},"msg":"background work failed"}';
const crash = 'Error: ENOSPC: no space left on device\n    at async main (file:///x.ts:1:1)';

test('an error line is found, equal ones once, and nothing else', (t) => {
  const errors = errorsOf([info, unexpected, info, unexpected, ''].join('\n'), 'node', new Set());
  t.deepEqual([...errors].map(([summary, { count }]) => [summary, count]), [['unexpected error: x is undefined', 2]]);
});

test('what a full disk explains is explained by a fault that fills disks only', (t) => {
  t.is(errorsOf(`${full}\n${crash}\n`, 'node', new Set(['fill-disk'])).size, 0);
  t.is(errorsOf(`${full}\n${crash}\n`, 'node', new Set(['kill-node'])).size, 2);
  t.is(errorsOf(full, 'controller', new Set(['fill-disk'])).size, 1);
});

test('a replica that is only partly there is explained by its deletion, and no other trouble with a replica is', (t) => {
  const notInOrder = (code: string) => `{"level":50,"time":1,"node":"node1","err":{"message":"x","code":"${code}"},"msg":"a replica can not be brought in order, and is kept out until it is repaired"}`;
  t.is(errorsOf(notInOrder('replica_missing'), 'node', new Set(['delete-replica'])).size, 0);
  t.is(errorsOf(notInOrder('replica_missing'), 'node', new Set(['power-loss'])).size, 1);
  t.is(errorsOf(notInOrder('replica_corrupt'), 'node', new Set(['delete-replica'])).size, 1);
});

test('the stack of a process that died is one error', (t) => {
  t.deepEqual([...errorsOf(`${info}\nTypeError: x is undefined\n    at f (x.ts:1:1)\n    at g (x.ts:2:2)\n${info}\n`, 'node', new Set()).keys()], ['TypeError: x is undefined']);
});

test('a line that was cut off by a kill says nothing', (t) => {
  t.is(errorsOf(`${info}\n${unexpected.slice(0, 40)}`, 'node', new Set()).size, 0);
});
