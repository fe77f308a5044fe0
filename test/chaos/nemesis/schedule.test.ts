import test from 'ava';
import { FAULT_KINDS, kindOf } from './kinds.ts';
import { allLinks, interferes, kindsFor, makeSchedule } from './schedule.ts';

const PARTS = { nodes: ['node1', 'node2', 'node3'], controllers: ['controller1', 'controller2'], database: 'database' };
const ALL_DISKS = new Set(['fill', 'fail', 'freeze', 'swap']);
const make = (seed: number, options = {}) => makeSchedule({ seed, durationMs: 600_000, ...PARTS, kinds: FAULT_KINDS, pauseMs: 1_000, ...options });

test('the same seed gives the same faults, and another seed others', (t) => {
  t.deepEqual(make(7), make(7));
  t.notDeepEqual(make(7), make(8));
});

test('every kind of fault has its turn', (t) => {
  t.deepEqual([...new Set(make(1).map((fault) => fault.kind))].sort(), [...FAULT_KINDS].sort());
});

test('faults come in order, end before the run does, and no two strike one thing at once', (t) => {
  for (let seed = 1; seed <= 50; seed++) {
    const faults = make(seed);
    for (const [i, fault] of faults.entries()) {
      t.true(i === 0 || fault.atMs >= faults[i - 1]!.atMs);
      t.true(fault.atMs + fault.forMs <= 600_000);
      for (const other of faults.slice(0, i)) if (other.atMs + other.forMs > fault.atMs) t.false(interferes(other, fault), `seed ${seed}: ${other.kind} and ${fault.kind}`);
    }
  }
});

test('no destruction strikes more than a minority of the nodes, but a swap, which loses nothing, two', (t) => {
  const nodes = ['node1', 'node2', 'node3', 'node4', 'node5'];
  const sizes = (of: readonly string[]) => new Set(make(3, { nodes: of }).filter((fault) => kindOf(fault.kind).destroys === true && fault.kind !== 'swap-disks').map((fault) => new Set(fault.targets).size));
  t.deepEqual([...sizes(PARTS.nodes)], [1]);
  t.deepEqual([...sizes(nodes)].sort(), [1, 2]);
});

test('a fault that the disks can not have, or that only verification finds, is left out', (t) => {
  t.deepEqual(kindsFor({ disks: ALL_DISKS, verification: true }), FAULT_KINDS);
  const kinds = kindsFor({ disks: new Set(['fill']), verification: false });
  t.true(kinds.includes('fill-disk'));
  for (const kind of ['fail-disk', 'freeze-disk', 'power-loss', 'flip-bit', 'edit-ref'] as const) t.false(kinds.includes(kind));
});

test('a split leaves no link between its halves, and one controller in each', (t) => {
  for (const { targets } of make(5).filter((fault) => fault.kind === 'split')) {
    const links = allLinks(PARTS).filter((link) => !targets.includes(link) && !link.includes('database') && !link.includes('clients'));
    const reached = new Set(['controller1']);
    for (let i = 0; i < 5; i++) for (const link of links) if (reached.has(link.split('→')[0]!)) reached.add(link.split('→')[1]!);
    t.false(reached.has('controller2'));
    t.true(reached.size > 1);
  }
});
