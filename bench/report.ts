import type { Goal, Role, Row } from './measure.ts';
import { median } from './statistics.ts';

/** A row with its figures worked out. */
export interface Result {
  row: Row;
  figures: Partial<Record<Role, number>>;
  /** Subject ÷ plain. */
  ratio: number;
  /** The ratios of the single rounds, lowest and highest. */
  spread: [number, number];
  /** Undefined for a figure without that goal. */
  must: boolean | undefined;
  dream: boolean | undefined;
}

/** Works out a row's figures. Throws Error when the plain server or the subject has none. */
export function evaluate(row: Row): Result {
  const figures: Partial<Record<Role, number>> = {};
  for (const role of ['plain', 'synced', 'subject'] as const) {
    const values = row.rounds[role];
    if (values !== undefined) figures[role] = row.summary === 'median' ? median(values) : Math.max(...values);
  }
  const { plain, subject } = figures;
  if (plain === undefined || subject === undefined) throw new Error(`${row.what}: not everybody was measured`);
  const ratios = row.rounds.subject!.map((value, round) => value / row.rounds.plain![round]!);
  const ratio = subject / plain;
  const reached = (goal: Goal | undefined) => {
    if (goal === undefined) return undefined;
    const [value, bound] = 'ratio' in goal ? [ratio, goal.ratio] : [subject, goal.value];
    return row.better === 'lower' ? value <= bound : value >= bound;
  };
  const spread: [number, number] = [Math.min(...ratios), Math.max(...ratios)];
  return { row, figures, ratio, spread, must: reached(row.must), dream: reached(row.dream) };
}

/** The table for a terminal, or as Markdown. @param subject what the judged server is called */
export function formatTable(results: readonly Result[], subject: string, markdown: boolean): string {
  const heads = ['measure', 'plain', 'plain, all synced', subject, 'ratio (rounds)', 'must', 'dream', 'reached'];
  const lines = results.map((result) => {
    const { row, figures, ratio, spread } = result;
    return [
      row.what,
      formatFigure(figures.plain, row.unit),
      formatFigure(figures.synced, row.unit),
      formatFigure(figures.subject, row.unit),
      `${formatRatio(ratio)} (${spread.map(formatRatio).join('–')})`,
      formatGoal(row.must, row),
      formatGoal(row.dream, row),
      formatReached(result),
    ];
  });
  return markdown ? markdownTable(heads, lines) : plainTable(heads, lines);
}

function formatReached({ must, dream }: Result): string {
  if (must === undefined) return '';
  if (!must) return 'no';
  return dream === true ? 'yes, the dream' : 'yes';
}

function formatFigure(value: number | undefined, unit: string): string {
  if (value === undefined) return '';
  return `${value.toLocaleString('en', { maximumSignificantDigits: value >= 1000 ? 4 : 3 })} ${unit}`;
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
