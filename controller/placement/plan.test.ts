import test from 'ava';
import fc from 'fast-check';
import { planRepository, type PlacementSteps, type PlannedNode, type PlannedReplica, type PlannedRepository } from './plan.ts';

const NODES = ['a', 'b', 'c', 'd', 'e'];

/** Five nodes that are alike, but for what a test says; their zones are their own names. */
function nodesWith(changes: Record<string, Partial<PlannedNode>> = {}): Map<string, PlannedNode> {
  return new Map(NODES.map((id) => [id, { id, zone: id, usable: true, free: 0.5, load: 0, role: 'open', room: 4, ...changes[id] }]));
}

/** `a` current and verified, `a?` not verified, `a-` not current. */
function repository(replicas: string, changes: Partial<PlannedRepository> = {}): PlannedRepository {
  return {
    id: 'r', factor: 3, intended: 3, changing: false, removing: new Set(), ...changes,
    replicas: replicas.split(' ').map((text): PlannedReplica => ({ node: text[0]!, current: text[1] !== '-', verified: text[1] === undefined })),
  };
}

const plan = (of: PlannedRepository, nodes = nodesWith()): PlacementSteps => planRepository(of, nodes, () => 0);
const NOTHING: PlacementSteps = { add: [], settle: false, takeAway: undefined, verify: false, unplaced: 0 };
const leaving = { role: 'leaving' } as const;

test('a repository that is as intended is left alone', (t) => {
  t.deepEqual(plan(repository('a b c')), NOTHING);
});

test('a replica on a leaving node gets another one first, and stays until that is current', (t) => {
  const nodes = nodesWith({ a: { ...leaving } });
  t.like(plan(repository('a b c'), nodes), { add: [{ node: 'd', reason: 'move' }], takeAway: undefined });
  t.deepEqual(plan(repository('a b c d-'), nodes), NOTHING);
  t.like(plan(repository('a b c d?'), nodes), { takeAway: { node: 'a', reason: 'moved' }, verify: true });
  t.like(plan(repository('a b c d'), nodes), { add: [], takeAway: { node: 'a', reason: 'moved' }, verify: false });
});

test('a node that comes back after its replica was rebuilt elsewhere has the surplus one, if it is behind', (t) => {
  t.like(plan(repository('a- b c d')), { takeAway: { node: 'a', reason: 'surplus' } });
});

test('a quiesced node keeps its replicas, and counts for nothing when one is to go', (t) => {
  const nodes = nodesWith({ a: { role: 'staying' } });
  t.deepEqual(plan(repository('a b c'), nodes), NOTHING);
  t.is(plan(repository('a b c d-'), nodes).takeAway, undefined);
});

test('a factor that rises gets replicas first, and rises as they become current', (t) => {
  const rising = { factor: 3, intended: 5, changing: true };
  t.deepEqual(plan(repository('a b c', rising)).add.map(({ node, reason }) => [node, reason]), [['d', 'new_replica'], ['e', 'new_replica']]);
  t.false(plan(repository('a b c d- e-', rising)).settle);
  t.true(plan(repository('a b c d e-', rising)).settle);
  t.true(plan(repository('a b c d e', { ...rising, factor: 5 })).settle);
});

test('a factor that fell lets the surplus go, one after another', (t) => {
  const fallen = { factor: 1, intended: 1, changing: true };
  t.like(plan(repository('a b c', fallen)), { add: [], takeAway: { reason: 'surplus' } });
  t.true(plan(repository('a', fallen)).settle);
});

test('a replica for which there is no node is told of', (t) => {
  t.like(plan(repository('a b c', { factor: 3, intended: 7, changing: true })), { unplaced: 2, takeAway: undefined });
  t.like(plan(repository('a b'), nodesWith({ c: { room: 0 }, d: { usable: false }, e: { role: 'staying' } })), { add: [], unplaced: 1 });
});

test('no replica goes where a copy is still to be deleted', (t) => {
  t.deepEqual(plan(repository('a b', { removing: new Set(['c', 'd']) })).add.map(({ node }) => node), ['e']);
});

test('two replicas in one zone part as soon as there is another one, and not while one of them isn\'t whole', (t) => {
  const nodes = nodesWith({ b: { zone: 'a' }, d: { zone: 'c' } });
  t.deepEqual(plan(repository('a b c'), nodes).add.map(({ node }) => node), ['e']);
  t.deepEqual(plan(repository('a b- c'), nodes).add, []);
  t.like(plan(repository('a b c e'), nodes), { takeAway: { node: 'a' } });
  t.deepEqual(plan(repository('a b c'), nodesWith({ b: { zone: 'a' }, d: { zone: 'c' }, e: { zone: 'c' } })).add, []);
});

test('of too many the one on the fullest disk goes', (t) => {
  t.like(plan(repository('a b c d'), nodesWith({ b: { free: 0.2 } })), { takeAway: { node: 'b' } });
});

const anyNodes = fc.tuple(...NODES.map((id) => fc.record({
  id: fc.constant(id), zone: fc.constantFrom('x', 'y', 'z'), usable: fc.boolean(), free: fc.constantFrom(0.1, 0.5, 0.9), load: fc.constant(0),
  role: fc.constantFrom('open' as const, 'open' as const, 'staying' as const, 'leaving' as const), room: fc.constant(4),
})));
const anyReplicas = fc.uniqueArray(fc.record({ node: fc.constantFrom(...NODES), current: fc.boolean(), verified: fc.boolean() }), { selector: ({ node }) => node, minLength: 1 });

test('what goes is always outlived by as many current and verified others as intended', (t) => {
  fc.assert(fc.property(anyNodes, anyReplicas, fc.integer({ min: 1, max: 4 }), (nodes, replicas, intended) => {
    const known = new Map(nodes.map((node): [string, PlannedNode] => [node.id, node]));
    const steps = plan({ id: 'r', factor: intended, intended, changing: false, removing: new Set(), replicas }, known);
    for (const { node } of steps.add) t.true(known.get(node)!.role === 'open' && known.get(node)!.usable && !replicas.some((each) => each.node === node));
    if (steps.takeAway === undefined || steps.verify) return;
    const others = replicas.filter(({ node, current, verified }) => node !== steps.takeAway!.node && current && verified);
    t.true(others.length >= intended);
  }));
});

test('where new replicas become current and nodes stay as they are, the steps come to an end', (t) => {
  fc.assert(fc.property(anyNodes, anyReplicas, fc.integer({ min: 1, max: 4 }), (nodes, initial, intended) => {
    const known = new Map(nodes.map((node): [string, PlannedNode] => [node.id, { ...node, usable: true }]));
    let replicas = initial.map((replica) => ({ ...replica, current: true, verified: true }));
    for (let i = 0; i < 20; i++) {
      const steps = plan({ id: 'r', factor: intended, intended, changing: false, removing: new Set(), replicas }, known);
      if (steps.add.length === 0 && steps.takeAway === undefined) return t.pass();
      replicas = [...replicas, ...steps.add.map(({ node }) => ({ node, current: true, verified: true }))].filter(({ node }) => node !== steps.takeAway?.node);
    }
    t.fail(`it goes on for ever with ${JSON.stringify(replicas)}`);
  }));
});
