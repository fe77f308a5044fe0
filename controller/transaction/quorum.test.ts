import test from 'ava';
import fc from 'fast-check';
import { quorumOf, tally, type Tally } from './quorum.ts';

for (const [configured, quorum] of [[1, 1], [2, 2], [3, 2], [4, 3], [5, 3], [6, 4], [7, 4], [9, 5]] as const) {
  test(`a quorum of ${configured} is ${quorum}`, (t) => {
    t.is(quorumOf(configured), quorum);
  });
}

test('two halves of a cluster never both hold a quorum', (t) => {
  for (let configured = 1; configured <= 9; configured++) {
    t.true(2 * quorumOf(configured) > configured);
    t.true(quorumOf(configured) <= configured);
  }
});

const TABLE: [name: string, configured: number, answers: Record<string, string>, outstanding: number, expected: Tally][] = [
  ['is pending while nobody has answered', 3, {}, 3, { state: 'pending' }],
  ['is pending with one of three', 3, { a: 'x' }, 2, { state: 'pending' }],
  ['is won by two equal answers of three', 3, { a: 'x', b: 'x' }, 1, { state: 'won', answer: 'x', winners: ['a', 'b'], others: [] }],
  ['names who differs from the quorum', 3, { a: 'x', b: 'y', c: 'x' }, 0, { state: 'won', answer: 'x', winners: ['a', 'c'], others: ['b'] }],
  ['is lost when three answers differ', 3, { a: 'x', b: 'y', c: 'z' }, 0, { state: 'lost' }],
  ['is pending when the third can still decide between two', 3, { a: 'x', b: 'y' }, 1, { state: 'pending' }],
  ['is lost when two are gone, however well the third means', 3, { a: 'x' }, 0, { state: 'lost' }],
  ['is lost at once when too few are left to answer', 5, { a: 'x', b: 'y' }, 1, { state: 'lost' }],
  ['counts configured replicas, not those that are up', 5, { a: 'x', b: 'x' }, 0, { state: 'lost' }],
  ['needs one of one', 1, { a: 'x' }, 0, { state: 'won', answer: 'x', winners: ['a'], others: [] }],
  ['needs both of two', 2, { a: 'x' }, 1, { state: 'pending' }],
];

for (const [name, configured, answers, outstanding, expected] of TABLE) {
  test(`a tally ${name}`, (t) => {
    t.deepEqual(tally(configured, new Map(Object.entries(answers)), outstanding), expected);
  });
}

const polls = fc.integer({ min: 1, max: 7 }).chain((configured) => fc.record({
  configured: fc.constant(configured),
  // undefined: no answer yet, '': gone.
  nodes: fc.array(fc.constantFrom(undefined, '', 'x', 'y', 'z'), { maxLength: configured }),
}));

test('a tally says what trying every subset of nodes and every future says', (t) => {
  fc.assert(fc.property(polls, ({ configured, nodes }) => {
    const answers = new Map(nodes.flatMap((answer, i) => (answer ? [[`n${i}`, answer] as const] : [])));
    const outstanding = nodes.filter((answer) => answer === undefined).length;
    const naive = bySubsets(configured, answers, outstanding);
    const { state, ...rest } = tally(configured, answers, outstanding);
    t.is(state, naive.state);
    const { state: _, ...expected } = naive;
    t.deepEqual(rest, expected);
  }), { numRuns: 2_000 });
});

test('the naive twin notices a quorum of those that happen to be up', (t) => {
  const ofThoseUp = (answers: ReadonlyMap<string, string>) => tally(answers.size, answers, 0).state;
  const alone = new Map([['a', 'x']]);
  t.is(ofThoseUp(alone), 'won');
  t.is(bySubsets(3, alone, 0).state, 'lost');
});

/** The definition itself: a majority of the configured replicas that all said the same, now or in some future. */
function bySubsets(configured: number, answers: ReadonlyMap<string, string>, outstanding: number): Tally {
  const nodes = [...answers.keys()];
  const isMajority = (count: number) => count > configured - count;
  const agreeing = subsets(nodes).filter((subset) => new Set(subset.map((node) => answers.get(node))).size <= 1);
  const best = agreeing.reduce((a, b) => (b.length > a.length ? b : a), [] as string[]);
  if (isMajority(best.length)) {
    const others = nodes.filter((node) => !best.includes(node));
    return { state: 'won', answer: answers.get(best[0]!)!, winners: best, others };
  }
  return agreeing.some((subset) => isMajority(subset.length + outstanding)) ? { state: 'pending' } : { state: 'lost' };
}

function subsets(nodes: readonly string[]): string[][] {
  return Array.from({ length: 2 ** nodes.length }, (_, bits) => nodes.filter((_node, i) => (bits >> i) & 1));
}
