import type { Goal, Role, Row } from './measure.ts';
import { median } from './statistics.ts';

/** A row with its figures worked out. */
export interface Result {
  row: Row;
  figures: Partial<Record<Role, number>>;
  /** Subject ÷ plain; undefined where there is nothing to compare with. */
  ratio: number | undefined;
  /** Lowest and highest of the single rounds: of their ratios, or of their values where there is no ratio. */
  spread: [number, number];
  /** Undefined for a figure without that goal. */
  must: boolean | undefined;
  dream: boolean | undefined;
}

/** Works out a row's figures. Throws Error when the subject has none, or a goal is a ratio and the plain server has none. */
export function evaluate(row: Row): Result {
  const figures: Partial<Record<Role, number>> = {};
  for (const role of ['plain', 'synced', 'subject'] as const) {
    const values = row.rounds[role];
    if (values !== undefined) figures[role] = summarize(values, row.summary);
  }
  const { plain, subject } = figures;
  const comparing = plain !== undefined || [row.must, row.dream].some((goal) => goal !== undefined && 'ratio' in goal);
  if (subject === undefined || (comparing && plain === undefined)) throw new Error(`${row.what}: not everybody was measured`);
  const ratio = plain === undefined ? undefined : subject / plain;
  const reached = (goal: Goal | undefined) => {
    if (goal === undefined) return undefined;
    const [value, bound] = 'ratio' in goal ? [ratio!, goal.ratio] : [subject, goal.value];
    return row.better === 'lower' ? value <= bound : value >= bound;
  };
  const each = row.rounds.subject!.map((value, round) => (plain === undefined ? value : value / row.rounds.plain![round]!));
  const spread: [number, number] = [Math.min(...each), Math.max(...each)];
  return { row, figures, ratio, spread, must: reached(row.must), dream: reached(row.dream) };
}

/** The table of comparisons for a terminal, or as Markdown. @param subject what the judged server is called */
export function formatTable(results: readonly Result[], subject: string, markdown: boolean): string {
  const heads = ['measure', 'plain', 'plain, all synced', subject, 'ratio (rounds)', 'must', 'dream', 'reached'];
  const lines = results.map((result) => {
    const { row, figures, ratio, spread } = result;
    return [
      row.what,
      formatFigure(figures.plain, row.unit),
      formatFigure(figures.synced, row.unit),
      formatFigure(figures.subject, row.unit),
      ratio === undefined ? '' : `${formatRatio(ratio)} (${spread.map(formatRatio).join('–')})`,
      formatGoal(row.must, row),
      formatGoal(row.dream, row),
      formatReached(result),
    ];
  });
  return markdown ? markdownTable(heads, lines) : plainTable(heads, lines);
}

/** The table of figures that stand alone; where there is a ratio, that is the figure. */
export function formatFigures(results: readonly Result[], markdown: boolean): string {
  const heads = ['measure', 'figure', 'rounds', 'must', 'dream', 'reached'];
  const lines = results.map((result) => {
    const { row, figures, ratio, spread } = result;
    const rounds = row.rounds.subject!.length;
    const ends = ratio === undefined
      ? `${formatNumber(spread[0])}–${formatFigure(spread[1], row.unit)}`
      : `${spread.map(formatRatio).join('–')} ×`;
    // The worst round is what is judged; how things usually went belongs beside it.
    const usual = row.summary === 'maximum' ? `, median ${formatNumber(median(row.rounds.subject!))}` : '';
    return [
      row.what,
      ratio === undefined ? formatFigure(figures.subject, row.unit) : `${formatRatio(ratio)} ×`,
      rounds === 1 ? '1' : `${rounds}: ${ends}${usual}`,
      formatGoal(row.must, row),
      formatGoal(row.dream, row),
      formatReached(result),
    ];
  });
  return markdown ? markdownTable(heads, lines) : plainTable(heads, lines);
}

function summarize(values: readonly number[], summary: Row['summary']): number {
  switch (summary) {
    case 'median': return median(values);
    case 'maximum': return Math.max(...values);
    case 'total': return values.reduce((sum, value) => sum + value, 0);
  }
}

function formatReached({ must, dream }: Result): string {
  if (must === undefined) return '';
  if (!must) return 'no';
  return dream === true ? 'yes, the dream' : 'yes';
}

function formatFigure(value: number | undefined, unit: string): string {
  if (value === undefined) return '';
  return `${formatNumber(value)} ${unit}`;
}

function formatNumber(value: number): string {
  return value.toLocaleString('en', { maximumSignificantDigits: value >= 1000 ? 4 : 3 });
}

function formatRatio(ratio: number): string {
  return ratio.toFixed(2);
}

function formatGoal(goal: Goal | undefined, row: Row): string {
  if (goal === undefined) return '';
  const sign = row.better === 'lower' ? '≤' : '≥';
  return 'ratio' in goal ? `${sign} ${goal.ratio} ×` : `${sign} ${goal.value} ${row.unit}`;
}

function markdownTable(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const row = (cells: readonly string[]) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [row(heads), row(heads.map((_, i) => (i === 0 ? '---' : '---:'))), ...lines.map(row)].join('\n');
}

function plainTable(heads: readonly string[], lines: readonly (readonly string[])[]): string {
  const widths = heads.map((head, i) => Math.max(head.length, ...lines.map((cells) => cells[i]!.length)));
  const row = (cells: readonly string[]) => cells
    .map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
    .join('  ')
    .trimEnd();
  return [row(heads), row(widths.map((width) => '─'.repeat(width))), ...lines.map(row)].join('\n');
}
