import test from 'ava';
import fc from 'fast-check';
import type { PlannedNode } from './plan.ts';
import { imbalanceOf, mayMove } from './rebalance.ts';

const node = (id: string, free: number, changes: Partial<PlannedNode> = {}): PlannedNode => (
  { id, zone: '', usable: true, free, load: 0, role: 'open', room: 4, ...changes });

test('nothing moves until the difference exceeds the threshold; then replicas move until it is half of that', (t) => {
  const at = (difference: number) => [node('a', 0.5), node('b', 0.5 + difference)];
  t.is(imbalanceOf(at(0.2), 0.2, false), undefined);
  t.deepEqual(imbalanceOf(at(0.21), 0.2, false), { from: 'a', to: 'b' });
  t.deepEqual(imbalanceOf(at(0.15), 0.2, true), { from: 'a', to: 'b' });
  t.is(imbalanceOf(at(0.1), 0.2, true), undefined);
});

test('it can be switched off, and asks nothing of nodes that are leaving, quiesced or gone', (t) => {
  t.is(imbalanceOf([node('a', 0), node('b', 1)], 0, false), undefined);
  for (const change of [{ role: 'leaving' }, { role: 'staying' }, { usable: false }] as const) {
    t.is(imbalanceOf([node('a', 0, change), node('b', 1)], 0.2, false), undefined);
  }
});

test('a move puts no two replicas into one zone', (t) => {
  const nodes = new Map([node('a', 0, { zone: 'x' }), node('b', 0, { zone: 'y' }), node('c', 0, { zone: 'y' }), node('d', 0, { zone: 'z' }), node('e', 0, { zone: 'x' })].map((each) => [each.id, each]));
  t.false(mayMove(['a', 'b'], { from: 'a', to: 'c' }, nodes));
  t.true(mayMove(['a', 'b'], { from: 'b', to: 'c' }, nodes));
  t.true(mayMove(['a', 'b'], { from: 'a', to: 'd' }, nodes));
  t.true(mayMove(['a', 'b'], { from: 'a', to: 'e' }, nodes));
  t.false(mayMove(['a', 'b'], { from: 'a', to: 'b' }, nodes));
});

test('however repositories are spread, moves end, and none goes back to where it came from', (t) => {
  const sizes = fc.array(fc.record({ share: fc.double({ min: 0.001, max: 0.05, noNaN: true }), on: fc.nat({ max: 3 }) }), { maxLength: 60 });
  fc.assert(fc.property(sizes, (repositories) => {
    const where = repositories.map(({ on }) => on);
    const visited = where.map((on) => new Set([on]));
    let underWay = false;
    for (let moves = 0; ; moves++) {
      const nodes = [0, 1, 2, 3].map((id) => node(String(id), 1 - repositories.reduce((sum, { share }, i) => sum + (where[i] === id ? share / 4 : 0), 0)));
      const due = imbalanceOf(nodes, 0.1, underWay);
      underWay = due !== undefined;
      const moved = where.findIndex((on) => on === Number(due?.from));
      if (due === undefined || moved === -1) return t.pass();
      t.true(moves < 200, 'moves do not end');
      where[moved] = Number(due.to);
      t.false(visited[moved]!.has(where[moved]!), 'a replica went back');
      visited[moved]!.add(where[moved]!);
    }
  }));
});
