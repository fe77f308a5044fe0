import test from 'ava';
import type { VerifyAnswer } from '@trivet/proto/messages.ts';
import type { LostState, Route } from '../store/rows.ts';
import { compare } from './verification.ts';

const D = (n: number) => String(n).repeat(64);
const sql = (generation: number, digest = D(generation)) => ({ repository: { generation, digest } }) as Route;
const node = (generation: number, rest: Partial<VerifyAnswer> = {}): VerifyAnswer => ({
  generation, digest: D(generation), diskDigest: D(generation), problems: [], packs: 1, bytes: 1, tookMs: 1, ...rest,
});
const problem = (kind: 'corrupt' | 'missing' | 'diverged') => ({ problems: [{ kind, detail: `it is ${kind}` }] });

const table: [what: string, answer: VerifyAnswer, before: Route, after: Route, result: 'equal' | LostState][] = [
  ['the same on the disk, in memory and in SQL', node(5), sql(5), sql(5), 'equal'],
  ['a commit in flight that the node has already', node(6), sql(5), sql(6), 'equal'],
  ['a commit in flight that the node does not have yet', node(5), sql(5), sql(6), 'equal'],
  ['one of two commits in flight', node(6), sql(5), sql(7), 'equal'],
  ['behind what SQL held before the node was asked', node(4), sql(5), sql(5), 'outdated'],
  ['ahead of what SQL holds after it', node(6), sql(5), sql(5), 'diverged'],
  ['other refs at the same generation', node(5, { digest: D(9), diskDigest: D(9) }), sql(5), sql(5), 'diverged'],
  ['other refs at the generation before', node(5, { digest: D(9), diskDigest: D(9) }), sql(5), sql(6), 'diverged'],
  ['other refs at the generation after', node(6, { digest: D(9), diskDigest: D(9) }), sql(5), sql(6), 'diverged'],
  ['a disk that was edited behind the node', node(5, { diskDigest: D(9) }), sql(5), sql(5), 'diverged'],
  ['refs on the disk that can not be read', node(5, { diskDigest: null }), sql(5), sql(5), 'diverged'],
  ['a damaged object', node(5, problem('corrupt')), sql(5), sql(5), 'corrupt'],
  ['a damaged object in a replica that is behind', node(4, problem('corrupt')), sql(5), sql(5), 'corrupt'],
  ['a record that is gone', node(5, problem('missing')), sql(5), sql(5), 'missing'],
  ['a record of something else', node(5, problem('diverged')), sql(5), sql(5), 'diverged'],
];

for (const [what, answer, before, after, result] of table) {
  test(`${what}: ${result}`, (t) => {
    const compared = compare(answer, before, after);
    t.is(compared.result, result);
    t.is(compared.detail === '', result === 'equal');
  });
}
