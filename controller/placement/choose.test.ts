import test from 'ava';
import fc from 'fast-check';
import { chooseNodes, type PlacementNode } from './choose.ts';

const node = (id: string, values: Partial<PlacementNode> = {}): PlacementNode => ({ id, zone: '', usable: true, free: 0.5, load: 0, ...values });

const TABLE: [name: string, candidates: PlacementNode[], count: number, zones: string[], chosen: string[]][] = [
  ['the node with most free disk comes first', [node('a'), node('b', { free: 0.9 })], 1, [], ['b']],
  ['a loaded machine comes after a quiet one', [node('a', { load: 8 }), node('b')], 1, [], ['b']],
  ['another zone counts for more than free disk', [node('a', { zone: 'x', free: 0.9 }), node('b', { zone: 'y', free: 0.2 })], 1, ['x'], ['b']],
  ['each replica goes to a zone of its own', [node('a', { zone: 'x', free: 0.9 }), node('b', { zone: 'x', free: 0.8 }), node('c', { zone: 'y', free: 0.3 })], 2, [], ['a', 'c']],
  ['with fewer zones than replicas they are spread evenly', ['a', 'b', 'c', 'd'].map((id, i) => node(id, { zone: i < 3 ? 'x' : 'y', free: 0.9 - i / 5 })), 3, [], ['a', 'd', 'b']],
  ['a node that answers comes before one in a better zone that doesn\'t', [node('a', { zone: 'y', usable: false }), node('b', { zone: 'x' })], 1, ['x'], ['b']],
  ['a node that doesn\'t answer is taken where there is no other', [node('a', { usable: false }), node('b')], 2, [], ['b', 'a']],
  ['a disk that is nearly full is the last choice in its zone', [node('a', { free: 0.05 }), node('b', { free: 0.15, load: 60 })], 1, [], ['b']],
  ['fewer than asked for are chosen when there are no more', [node('a')], 3, [], ['a']],
];

for (const [name, candidates, count, zones, chosen] of TABLE) {
  test(name, (t) => { t.deepEqual(chooseNodes(candidates, count, zones, () => 0.5), chosen); });
}

test('nodes that are as good as each other get their turns by chance', (t) => {
  const first = [0.1, 0.9].map((one) => {
    const draws = [one, 0.5];
    return chooseNodes([node('a'), node('b')], 1, [], () => draws.shift()!)[0];
  });
  t.deepEqual(first, ['b', 'a']);
});

const candidates = fc.uniqueArray(fc.record({
  id: fc.string({ minLength: 1 }), zone: fc.constantFrom('', 'x', 'y', 'z'), usable: fc.constant(true),
  free: fc.double({ min: 0, max: 1, noNaN: true }), load: fc.double({ min: 0, max: 50, noNaN: true }),
}), { selector: ({ id }) => id, maxLength: 9 });

test('as many zones are used as there can be, and no node twice', (t) => {
  fc.assert(fc.property(candidates, fc.nat({ max: 5 }), fc.array(fc.constantFrom('', 'x', 'y', 'z'), { maxLength: 3 }), (nodes, count, zones) => {
    const chosen = chooseNodes(nodes, count, zones, Math.random);
    t.is(chosen.length, Math.min(count, nodes.length));
    t.is(new Set(chosen).size, chosen.length);
    const fresh = new Set(nodes.map(({ zone }) => zone).filter((zone) => !zones.includes(zone)));
    const used = new Set(chosen.map((id) => nodes.find((each) => each.id === id)!.zone).filter((zone) => !zones.includes(zone)));
    t.is(used.size, Math.min(fresh.size, count));
  }));
});
