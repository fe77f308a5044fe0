import test from 'ava';
import type { Row } from './measure.ts';
import { evaluate, formatFigures, formatTable } from './report.ts';

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

test('a row that lacks the subject is an error', (t) => {
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

const gap: Row = {
  measure: 'kill-node',
  what: 'longest gap',
  unit: 'ms',
  better: 'lower',
  summary: 'maximum',
  rounds: { subject: [80, 240, 90] },
  must: { value: 1000 },
  dream: { value: 100 },
};

test('a row that stands alone has no ratio, and its spread is that of its values', (t) => {
  const { figures, ratio, spread, must, dream } = evaluate(gap);
  t.deepEqual({ figures, ratio, spread, must, dream }, { figures: { subject: 240 }, ratio: undefined, spread: [80, 240], must: true, dream: false });
});

test('of a count all rounds together matter', (t) => {
  const failed: Row = { ...gap, summary: 'total', rounds: { subject: [0, 1, 2] }, must: { value: 0 }, dream: undefined };
  const { figures, must } = evaluate(failed);
  t.is(figures.subject, 3);
  t.false(must);
});

test('a goal that is a ratio needs something to compare with', (t) => {
  t.throws(() => evaluate({ ...gap, must: { ratio: 1.3 } }), { message: /not everybody/ });
});

test('the table of figures that stand alone shows a value, or a ratio where there is one, with its rounds', (t) => {
  const repair: Row = {
    measure: 'repair',
    what: 'repair against clone',
    unit: 's',
    better: 'lower',
    summary: 'median',
    rounds: { plain: [10, 20], subject: [12, 22] },
    must: { ratio: 1.3 },
    dream: { ratio: 0.8 },
  };
  const once: Row = { ...gap, what: 'once', rounds: { subject: [1234.5] }, must: undefined, dream: undefined };
  t.is(formatFigures([gap, repair, once].map(evaluate), true), [
    '| measure | figure | rounds | must | dream | reached |',
    '| --- | ---: | ---: | ---: | ---: | ---: |',
    '| longest gap | 240 ms | 3: 80–240 ms, median 90 | ≤ 1000 ms | ≤ 100 ms | yes |',
    '| repair against clone | 1.13 × | 2: 1.10–1.20 × | ≤ 1.3 × | ≤ 0.8 × | yes |',
    '| once | 1,235 ms | 1 |  |  |  |',
  ].join('\n'));
});
