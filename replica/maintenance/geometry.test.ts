import test from 'ava';
import fc from 'fast-check';
import { packsToCombine } from './geometry.ts';

const CASES: [name: string, sizes: number[], combined: number[]][] = [
  ['nothing to do with no pack', [], []],
  ['nothing to do with one', [5], []],
  ['packs whose sizes rise geometrically stay', [1, 2, 4, 100], []],
  ['many small ones are combined, and a large one stays', [3, 3, 3, 3, 1000], [3, 3, 3, 3]],
  ['one that is too small beside what is combined goes with it', [3, 3, 3, 3, 15, 1000], [3, 3, 3, 3, 15]],
  ['two alike are combined', [50, 50], [50, 50]],
];

for (const [name, sizes, combined] of CASES) {
  test(name, (t) => { t.deepEqual(choose(sizes).sort((a, b) => a - b), combined); });
}

test('what is left is always geometric, so there are few', (t) => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 1_000_000 }), { maxLength: 200 }), (sizes) => {
    const combined = packsToCombine(sizes.map((objects, i) => ({ name: `p${i}`, objects })));
    const left = sizes.filter((_, i) => !combined.includes(`p${i}`));
    const made = sizes.filter((_, i) => combined.includes(`p${i}`)).reduce((sum, size) => sum + size, 0);
    const after = [...left, ...(combined.length > 0 ? [made] : [])].sort((a, b) => a - b);
    t.true(after.every((size, i) => i === 0 || size >= 2 * after[i - 1]!));
    t.true(combined.length !== 1);
  }));
});

test('an object is copied few times: a thousand pushes copy each less than twelve times', (t) => {
  let packs: { name: string; objects: number }[] = [];
  let copied = 0;
  for (let push = 0; push < 1_000; push++) {
    packs.push({ name: `push ${push}`, objects: 3 });
    if (packs.length < 20) continue;
    const combined = new Set(packsToCombine(packs));
    const objects = packs.filter(({ name }) => combined.has(name)).reduce((sum, pack) => sum + pack.objects, 0);
    copied += objects;
    packs = [...packs.filter(({ name }) => !combined.has(name)), { name: `made ${push}`, objects }];
  }
  t.true(packs.length < 20 + 10);
  t.true(copied < 12 * 3_000, `${copied / 3_000}`);
});

function choose(sizes: readonly number[]): number[] {
  const packs = sizes.map((objects, i) => ({ name: `p${i}`, objects }));
  const names = packsToCombine(packs);
  return packs.filter(({ name }) => names.includes(name)).map(({ objects }) => objects);
}
