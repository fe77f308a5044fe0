import test from 'ava';
import fc from 'fast-check';
import { EMPTY_REFS_DIGEST, headValue, RefsDigest } from './refs-digest.ts';

const A = 'a'.repeat(40);
const B = 'b'.repeat(40);

// Computed apart from this code: `printf 'refs/heads/main\0aaaa…' | sha256sum`, XORed by hand.
const vectors: [name: string, refs: [string, string][], digest: string][] = [
  ['nothing', [],
    '0000000000000000000000000000000000000000000000000000000000000000'],
  ['an empty repository', [['HEAD', 'ref: refs/heads/main']],
    'c055e827c82bf414e291abefb2ca3c9f1bda945756cf2874337355a1f5bcead3'],
  ['one branch', [['refs/heads/main', A]],
    '26ce43a504cb66250ab5aa11ff039e8489344bd4355574f444184aa20a27e72c'],
  ['HEAD, a branch and a tag', [['HEAD', 'ref: refs/heads/main'], ['refs/heads/main', A], ['refs/tags/v1', B]],
    '5d588115c3c5998697820f5d62bd44a44927a98e3f88ad5a9314e204f9024986'],
  ['a ref in UTF-8', [['refs/heads/grün/€', A]],
    '1461d3ed17002cb53b3c3981570da1e77341a04fb91b5580bf69f58d374c9217'],
  ['a ref of sha256', [['refs/heads/main', 'c'.repeat(64)]],
    'c3b2db04e7318ab6511ae1d831de6c9709dc423ae37505c9fe1384504a856054'],
];

for (const [name, refs, digest] of vectors) {
  test(`the digest of ${name} is what any other program computes`, (t) => {
    t.is(of(refs), digest);
  });
}

const refs = fc.uniqueArray(
  fc.tuple(fc.string({ minLength: 1, maxLength: 20 }).filter((text) => !text.includes('\0')), fc.constantFrom(A, B)),
  { selector: ([ref]) => ref, maxLength: 20 },
);

test('the order in which refs are visited does not matter', (t) => {
  fc.assert(fc.property(refs.chain((list) => fc.tuple(fc.constant(list), fc.shuffledSubarray(list, { minLength: list.length }))), ([list, shuffled]) => {
    t.is(of(list), of(shuffled));
  }));
  t.pass();
});

test('changing refs one after another gives what computing everything anew gives', (t) => {
  const change = fc.tuple(fc.constantFrom('refs/heads/a', 'refs/heads/b', 'refs/heads/c', 'HEAD'), fc.constantFrom(A, B, undefined));
  fc.assert(fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
    const table = new Map<string, string>();
    const digest = new RefsDigest();
    for (const [ref, value] of changes) {
      digest.change(ref, table.get(ref), value);
      if (value === undefined) table.delete(ref);
      else table.set(ref, value);
      t.is(digest.hex, of([...table]));
    }
  }));
  t.pass();
});

test('any other name, value or ref makes another digest', (t) => {
  const digests = [
    of([]), of([['refs/heads/a', A]]), of([['refs/heads/b', A]]), of([['refs/heads/a', B]]), of([['refs/heads/A', A]]),
    of([['refs/heads/a', A], ['refs/heads/b', A]]), of([['HEAD', headValue('refs/heads/a')]]), of([['HEAD', headValue('refs/heads/b')]]),
  ];
  t.is(new Set(digests).size, digests.length);
});

test('a name and a value can not be cut elsewhere', (t) => {
  t.not(of([['refs/heads/a', `b${A}`]]), of([['refs/heads/ab', A]]));
});

test('a copy changes without the original', (t) => {
  const digest = new RefsDigest().toggle('refs/heads/a', A);
  const before = digest.hex;
  digest.clone().toggle('refs/heads/b', B);
  t.is(digest.hex, before);
});

test('a ref taken out leaves nothing behind', (t) => {
  t.is(new RefsDigest().toggle('refs/heads/a', A).toggle('refs/heads/a', A).hex, EMPTY_REFS_DIGEST);
});

for (const text of ['', 'ab', 'g'.repeat(64), '0'.repeat(63), '0'.repeat(65), '0'.repeat(66), 'A'.repeat(64)]) {
  test(`${JSON.stringify(text)} is no digest`, (t) => {
    t.throws(() => new RefsDigest(text), { instanceOf: RangeError });
  });
}

function of(list: readonly (readonly [string, string])[]): string {
  const digest = new RefsDigest();
  for (const [ref, value] of list) digest.toggle(ref, value);
  return digest.hex;
}
