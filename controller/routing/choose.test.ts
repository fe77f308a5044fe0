import test from 'ava';
import fc from 'fast-check';
import { rank, score, type Candidate, type Reason } from './choose.ts';

const quiet: Candidate = { node: 'a', latencyMs: 2, inFlight: 0, errorRate: 0, load: 0, diskFree: 0.5, maintained: false };

const WORSE: [why: string, change: Partial<Candidate>][] = [
  ['answers later', { latencyMs: 4 }],
  ['has a line of requests', { inFlight: 3 }],
  ['failed lately', { errorRate: 0.2 }],
  ['is on a loaded machine', { load: 4 }],
  ['has almost no disk left', { diskFree: 0.01 }],
];

for (const [why, change] of WORSE) {
  test(`a node that ${why} is asked last, because another has the lowest score`, (t) => {
    const worse = { ...quiet, ...change, node: 'worse' };
    t.deepEqual(rank([worse, quiet], 0), { order: ['a', 'worse'], reason: 'lowest_score' });
    t.deepEqual(rank([quiet, worse], 7), { order: ['a', 'worse'], reason: 'lowest_score' });
    t.true(score(worse) > score(quiet));
  });
}

const REASON_TABLE: [name: string, candidates: Candidate[], order: string[], reason: Reason][] = [
  ['nobody is asked when nobody is current', [], [], 'only_current'],
  ['the only current one is asked', [quiet], ['a'], 'only_current'],
  ['equal ones take turns', [quiet, { ...quiet, node: 'b' }], ['b', 'a'], 'equal_scores'],
  ['nearly equal ones take turns as well', [quiet, { ...quiet, node: 'b', latencyMs: 2.4 }], ['b', 'a'], 'equal_scores'],
  [
    'one that is clearly worse gets no turn', [quiet, { ...quiet, node: 'b' }, { ...quiet, node: 'c', latencyMs: 20 }],
    ['b', 'a', 'c'], 'equal_scores',
  ],
  ['one that was not measured lately gets its turn', [quiet, { ...quiet, node: 'b', latencyMs: undefined }], ['b', 'a'], 'equal_scores'],
  [
    'one that was not measured lately counts as fast as the fastest, not as the slowest',
    [{ ...quiet, latencyMs: 20 }, { ...quiet, node: 'b', latencyMs: undefined }, { ...quiet, node: 'c', latencyMs: 40 }],
    ['b', 'a', 'c'], 'equal_scores',
  ],
  ['one whose replica is being maintained is asked last, whatever its score', [{ ...quiet, maintained: true }, { ...quiet, node: 'b', latencyMs: 20 }], ['b', 'a'], 'maintenance'],
  [
    'the others take turns while one is being maintained', [{ ...quiet, maintained: true }, { ...quiet, node: 'b' }, { ...quiet, node: 'c' }],
    ['c', 'b', 'a'], 'equal_scores',
  ],
  ['the only current one is asked though it is being maintained', [{ ...quiet, maintained: true }], ['a'], 'only_current'],
];

for (const [name, candidates, order, reason] of REASON_TABLE) {
  test(name, (t) => { t.deepEqual(rank(candidates, 1), { order, reason }); });
}

test('latencies below half a millisecond count as equal', (t) => {
  t.is(score({ ...quiet, latencyMs: 0.01 }), score({ ...quiet, latencyMs: 0.4 }));
});

test('reads spread evenly over equal nodes', (t) => {
  const counts: Record<string, number> = {};
  const nodes = ['a', 'b', 'c'].map((node) => ({ ...quiet, node }));
  for (let turn = 0; turn < 300; turn++) {
    const [first] = rank(nodes, turn).order;
    counts[first!] = (counts[first!] ?? 0) + 1;
  }
  t.deepEqual(counts, { a: 100, b: 100, c: 100 });
});

const candidate = fc.record({
  maintained: fc.constant(false), node: fc.uuid(), latencyMs: fc.double({ min: 0, max: 1e4, noNaN: true }), inFlight: fc.nat({ max: 100 }),
  errorRate: fc.double({ min: 0, max: 1, noNaN: true }),
  load: fc.double({ min: 0, max: 50, noNaN: true }),
  diskFree: fc.double({ min: 0, max: 1, noNaN: true }),
});

test('every current replica is asked exactly once, and none before one that is clearly better', (t) => {
  const several = fc.uniqueArray(candidate, { selector: ({ node }) => node, maxLength: 7 });
  fc.assert(fc.property(several, fc.nat(), (candidates, turn) => {
    const { order } = rank(candidates, turn);
    t.deepEqual([...order].sort(), candidates.map(({ node }) => node).sort());
    const scores = order.map((node) => score(candidates.find((each) => each.node === node)!));
    t.true(scores.every((value) => Number.isFinite(value) && value > 0));
    if (scores.length > 0) t.true(scores[0]! <= Math.min(...scores) * 1.25 + 1e-9);
    t.deepEqual(scores.slice(1), [...scores.slice(1)].sort((a, b) => a - b));
  }));
});
