import test from 'ava';
import type { Row } from './measure.ts';
import { evaluate, formatTable } from './report.ts';

const push: Row = {
  measure: 'small-push',
  what: 'small push, p50',
  unit: 'ms',
  better: 'lower',
  summary: 'median',
  rounds: { plain: [20, 10, 30], synced: [25], subject: [25, 30, 24] },
  must: { ratio: 1.5 },
  dream: { ratio: 0.5 },
};

test('a ratio is that of the medians, its spread that of the rounds', (t) => {
  const { ratio, spread } = evaluate(push);
  t.is(ratio, 1.25);
  t.deepEqual(spread, [0.8, 3]);
});

for (const [better, goal, subject, reached] of [
  ['lower', { ratio: 1.5 }, 15, true],
  ['lower', { ratio: 1.5 }, 15.1, false],
  ['higher', { ratio: 0.9 }, 9, true],
  ['higher', { ratio: 0.9 }, 8.9, false],
  ['lower', { value: 256 }, 256, true],
  ['lower', { value: 256 }, 257, false],
  ['higher', { value: 300 }, 300, true],
  ['higher', { value: 300 }, 299, false],
] as const) {
  test(`${subject} against 10, ${better} is better, ${reached ? 'reaches' : 'misses'} ${JSON.stringify(goal)}`, (t) => {
    const rounds = { plain: [10], subject: [subject] };
    const result = evaluate({ ...push, better, must: goal, dream: undefined, rounds });
    t.is(result.must, reached);
    t.is(result.dream, undefined);
  });
}

test('of a peak the highest round counts', (t) => {
  const { figures } = evaluate({ ...push, summary: 'maximum', rounds: { plain: [5, 9, 1], subject: [2, 1, 3] } });
  t.deepEqual(figures, { plain: 9, subject: 3 });
});

test('a row that lacks the plain server or the subject is an error', (t) => {
  t.throws(() => evaluate({ ...push, rounds: { plain: [1] } }), { message: /not everybody/ });
});

test('the table says what was reached, and leaves the cells of mere information empty', (t) => {
  const rounds = { plain: [1234.5], subject: [2469] };
  const information: Row = { ...push, what: 'p90', must: undefined, dream: undefined, rounds };
  const table = formatTable([evaluate(push), evaluate(information)], 'trivet', true);
  t.is(table, [
    '| measure | plain | plain, all synced | trivet | ratio (rounds) | must | dream | reached |',
    '| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |',
    '| small push, p50 | 20 ms | 25 ms | 25 ms | 1.25 (0.80–3.00) | ≤ 1.5 × | ≤ 0.5 × | yes |',
    '| p90 | 1,235 ms |  | 2,469 ms | 2.00 (2.00–2.00) |  |  |  |',
  ].join('\n'));
});

test('columns of the terminal table line up', (t) => {
  const longer = evaluate({ ...push, what: 'a measure with a longer name' });
  const lines = formatTable([evaluate(push), longer], 'trivet', false).split('\n').slice(2);
  t.is(lines[0]!.indexOf('20 ms'), lines[1]!.indexOf('20 ms'));
});
