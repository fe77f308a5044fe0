import test from 'ava';
import fc from 'fast-check';
import { packedRefsText, withoutPackedRefs } from './packed-refs.ts';
import { sortRefNames } from './ref-order.ts';

const OID = 'a'.repeat(40);
const TAG = 'b'.repeat(40);
const peeled = new Map([[TAG, OID]]);

const names = fc.uniqueArray(fc.tuple(fc.stringMatching(/^[a-cé\ue000😀]{1,3}$/u), fc.boolean()),
  { selector: ([name]) => name, maxLength: 30 });

for (const sorted of [true, false]) {
  test(`lines are cut out of a packed-refs file that ${sorted ? 'says it is sorted' : 'does not say it is sorted'}`, (t) => {
    fc.assert(fc.property(names, fc.array(fc.stringMatching(/^[a-cé\ue000😀]{1,3}$/u)), fc.boolean(), (some, others, header) => {
      const tags = new Map(some.map(([name, tag]) => [`refs/${name}`, tag]));
      const order = sorted ? sortRefNames([...tags.keys()]) : [...tags.keys()];
      const text = (kept: string[]) => {
        const whole = packedRefsText(kept.map((name) => [name, tags.get(name) ? TAG : OID]), peeled);
        if (sorted) return whole;
        return header ? whole.replace(' sorted ', ' peeled ') : whole.slice(whole.indexOf('\n') + 1);
      };
      const cut = new Set([...order.filter((_, i) => i % 3 === 0), ...others.map((name) => `refs/${name}`)]);
      const kept = order.filter((name) => !cut.has(name));
      const rest = withoutPackedRefs(Buffer.from(text(order)), cut)?.toString();
      t.is(rest, kept.length === order.length ? undefined : text(kept));
    }), { numRuns: 300 });
  });
}

test('a name is looked for as a whole', (t) => {
  const content = packedRefsText([['refs/heads/ab', OID], ['refs/heads/abc', OID]], peeled);
  for (const name of ['refs/heads/a', 'refs/heads/b', 'heads/ab', 'refs/heads/abcd', 'refs']) {
    t.is(withoutPackedRefs(Buffer.from(content), [name]), undefined);
    t.is(withoutPackedRefs(Buffer.from(content.slice(content.indexOf('\n') + 1)), [name]), undefined);
  }
  t.is(withoutPackedRefs(Buffer.alloc(0), ['refs/heads/a']), undefined);
});
