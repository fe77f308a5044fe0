import test from 'ava';
import fc from 'fast-check';
import { voteDigest, type Command } from './vote.ts';

const ZERO = '0'.repeat(40);
const A = 'a'.repeat(40);
const B = 'b'.repeat(40);
const ID = '0123456789abcdef0123456789abcdef';
const create: Command = { ref: 'refs/heads/main', old: ZERO, new: A };
const update: Command = { ref: 'refs/heads/a', old: A, new: B };

// Computed apart from this code, with another language's SHA-256.
const vectors: [name: string, commands: Command[], verdicts: string[], digest: string][] = [
  ['a creation', [create], ['ok'],
    '29d57a1c2a359976bea8a63a36b0736c478efbacd762603842cb688118b03521'],
  ['a creation and a refused update', [create, update], ['ok', 'non-fast-forward'],
    'c86eea7f6baa86fc4278421f7d0fa038f3d882a4c0a2ec128d00099c43520134'],
  ['no command', [], [],
    '6ed6653dba3d6aee8110c6e23de37f15c609b8a6e29aa164d1acace604e5cb7e'],
];

for (const [name, commands, verdicts, digest] of vectors) {
  test(`the vote on ${name} is what any other program computes`, (t) => {
    t.is(voteDigest(ID, commands, verdicts), digest);
  });
}

test('the order of the commands does not matter as long as each keeps its verdict', (t) => {
  const pair = fc.tuple(fc.record({ ref: fc.string({ minLength: 1, maxLength: 12 }), old: fc.constantFrom(A, B), new: fc.constantFrom(A, B, ZERO) }), fc.constantFrom('ok', 'no'));
  const pairs = fc.uniqueArray(pair, { selector: ([{ ref }]) => ref, maxLength: 10 });
  fc.assert(fc.property(pairs.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), ([list, shuffled]) => {
    t.is(vote(list), vote(shuffled));
  }));
  t.pass();
});

test('another transaction, ref, value or verdict is another vote', (t) => {
  const votes = [
    voteDigest(ID, [create], ['ok']), voteDigest(ID.replace('0', 'f'), [create], ['ok']), voteDigest(ID, [create], ['no']),
    voteDigest(ID, [{ ...create, ref: 'refs/heads/other' }], ['ok']), voteDigest(ID, [{ ...create, old: B }], ['ok']),
    voteDigest(ID, [{ ...create, new: B }], ['ok']), voteDigest(ID, [create, update], ['ok', 'no']), voteDigest(ID, [create, update], ['no', 'ok']),
    voteDigest(ID, [], []), voteDigest(ID, [], ['ok'], 'refs/heads/main'), voteDigest(ID, [], ['no'], 'refs/heads/main'),
    voteDigest(ID, [], ['ok'], 'refs/heads/a'), voteDigest(ID, [create], ['ok', 'ok'], 'refs/heads/main'),
  ];
  t.is(new Set(votes).size, votes.length);
});

test('asking for a vote does not reorder the commands', (t) => {
  const commands = [create, update];
  voteDigest(ID, commands, ['ok', 'ok']);
  t.deepEqual(commands, [create, update]);
});

function vote(list: readonly (readonly [Command, string])[]): string {
  return voteDigest(ID, list.map(([command]) => command), list.map(([, verdict]) => verdict));
}
