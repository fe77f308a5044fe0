import test from 'ava';
import type { Value } from '../history/history.ts';
import { Random } from '../random.ts';
import { checkRegister, type RegisterOperation } from './register.ts';

const read = (begin: number, end: number, value: Value): RegisterOperation => ({ kind: 'read', begin, end, value });
const set = (begin: number, end: number, old: Value, value: Value): RegisterOperation => ({ kind: 'set', begin, end, old, new: value, certain: true });
const unknown = (begin: number, old: Value, value: Value): RegisterOperation => ({ kind: 'set', begin, end: Infinity, old, new: value, certain: false });

for (const [name, history] of Object.entries<RegisterOperation[]>({
  'nothing at all': [],
  'a read of nothing before the first push': [read(0, 1, null), set(2, 3, null, 'a'), read(4, 5, 'a')],
  'a read during a push that sees the old value': [set(0, 1, null, 'a'), set(2, 9, 'a', 'b'), read(3, 4, 'a'), read(5, 6, 'b')],
  'reads that overlap one another and see a push in either order': [set(0, 9, null, 'a'), read(1, 8, 'a'), read(2, 7, null)],
  'pushes that overlap, each from where the other left': [set(0, 9, 'b', 'c'), set(1, 8, 'a', 'b'), set(0, 2, null, 'a'), read(10, 11, 'c')],
  'an unknown push that happened': [unknown(0, null, 'a'), read(5, 6, null), read(7, 8, 'a')],
  'an unknown push that did not happen': [unknown(0, null, 'a'), set(5, 6, null, 'b'), read(7, 8, 'b')],
  'an unknown push that happens long after its client is gone': [unknown(0, null, 'a'), read(100, 101, null), set(200, 201, 'a', 'b')],
  'an unknown deletion, and a new beginning': [set(0, 1, null, 'a'), unknown(2, 'a', null), set(5, 6, null, 'b'), read(7, 8, 'b')],
})) {
  test(`there is an order for ${name}`, (t) => {
    t.is(checkRegister(history), undefined);
  });
}

for (const [name, history, at] of [
  ['an acknowledged push that is gone', [set(0, 1, null, 'a'), set(2, 3, 'a', 'b'), read(4, 5, 'a')], 2],
  ['a ref that vanished', [set(0, 1, null, 'a'), read(2, 3, null)], 1],
  ['a read that goes back behind an earlier read', [set(0, 1, null, 'a'), set(2, 20, 'a', 'b'), read(3, 4, 'b'), read(5, 6, 'a')], 3],
  ['a value that nobody pushed', [set(0, 1, null, 'a'), read(2, 3, 'x')], 1],
  ['two pushes from the same old value, both acknowledged', [set(0, 1, null, 'a'), set(2, 5, 'a', 'b'), set(2, 6, 'a', 'c')], 2],
  ['a push seen before it began', [read(0, 1, 'a'), set(2, 3, null, 'a')], 0],
  ['an unknown push that happened and was undone', [set(0, 1, null, 'a'), unknown(2, 'a', 'b'), read(3, 4, 'b'), read(5, 6, 'a')], 3],
  ['a deletion that came back', [set(0, 1, null, 'a'), set(2, 3, 'a', null), read(4, 5, 'a')], 2],
] as [string, RegisterOperation[], number][]) {
  test(`there is no order for ${name}`, (t) => {
    t.is(checkRegister(history)?.operation, history[at]);
  });
}

test('says the same as trying every order, on 3,000 random histories', (t) => {
  const random = new Random(1, 'register');
  let orderless = 0;
  for (let i = 0; i < 3_000; i++) {
    const history = randomHistory(random);
    const fault = checkRegister(history);
    if (fault !== undefined) orderless += 1;
    t.is(fault === undefined, someOrder(history, null, new Set(history)), JSON.stringify(history));
  }
  t.true(orderless > 300 && orderless < 2_700, `${orderless} of 3,000 have no order`);
});

test('a thousand pushes of unknown outcome do not make a ref impossible to judge', (t) => {
  const history: RegisterOperation[] = [];
  let value: Value = null;
  for (let i = 0; i < 2_000; i++) {
    if (i % 2 === 0) history.push(unknown(i * 10, value, `u${i}`));
    else {
      history.push(set(i * 10, i * 10 + 5, value, `s${i}`), read(i * 10 + 6, i * 10 + 7, `s${i}`));
      value = `s${i}`;
    }
  }
  t.is(checkRegister(history), undefined);
});

function randomHistory(random: Random): RegisterOperation[] {
  const values: Value[] = [null];
  return Array.from({ length: random.between(1, 6) }, (_, i): RegisterOperation => {
    const begin = random.between(0, 12);
    const end = begin + random.between(0, 6);
    if (random.chance(0.5)) return { kind: 'read', begin, end, value: random.pick([...values, `v${i + 1}`]) };
    const old = random.pick(values);
    const value = random.chance(0.2) ? null : `v${i}`;
    values.push(value);
    const certain = random.chance(0.7);
    return { kind: 'set', begin, end: certain ? end : Infinity, old, new: value, certain };
  });
}

/** The naive twin: any operation that need not wait for another one may be next. */
function someOrder(history: readonly RegisterOperation[], value: Value, left: ReadonlySet<RegisterOperation>): boolean {
  if ([...left].every((operation) => operation.kind === 'set' && !operation.certain)) return true;
  const firstEnd = Math.min(...[...left].map((operation) => operation.end));
  for (const operation of left) {
    if (operation.begin > firstEnd) continue;
    const rest = new Set(left);
    rest.delete(operation);
    if (operation.kind === 'read') {
      if (operation.value === value && someOrder(history, value, rest)) return true;
    } else if (operation.old === value && someOrder(history, operation.new, rest)) return true;
  }
  return false;
}
