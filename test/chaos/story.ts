import type { HistoryRecord } from './history/history.ts';
import type { Violation } from './check/violation.ts';
import { short } from './check/history.ts';

/** Lines of a story at most: the ones nearest to the violation. */
const MAX_LINES = 60;
/** What happened so shortly before and after belongs to it. */
const MARGIN_MS = 3_000;

/** What was done and what went wrong around a violation, line by line as a person reads it. */
export function tell(violation: Violation, records: readonly HistoryRecord[]): string {
  const { promise, text, repository, ref } = violation;
  const where = [repository, ref].filter((part) => part !== undefined).join(' ');
  const head = `BROKEN: ${promise}\n  ${where === '' ? '' : `${where}: `}${text}`;
  if (violation.begin === undefined) return head;
  const from = violation.begin - MARGIN_MS;
  const to = (violation.end === undefined || violation.end === Infinity ? violation.begin : violation.end) + MARGIN_MS;
  const lines = records.filter((record) => record.begin <= to && record.end >= from)
    .flatMap((record) => lineOf(record, repository, ref).map((line) => ({ at: record.begin, line })))
    .sort((a, b) => a.at - b.at).map(({ line }) => `  ${line}`);
  const left = lines.length - MAX_LINES;
  const middle = left > 0 ? lines.slice(Math.floor(left / 2), Math.floor(left / 2) + MAX_LINES) : lines;
  return [head, ...middle, ...(left > 0 ? [`  (${left} more lines)`] : [])].join('\n');
}

function lineOf(record: HistoryRecord, repository: string | undefined, ref: string | undefined): string[] {
  const time = `${seconds(record.begin)}–${seconds(record.end)}`;
  switch (record.type) {
    case 'fault': return [`${time} FAULT ${record.what}`];
    case 'note': return [`${seconds(record.begin)} ${record.text}`];
    case 'read': {
      if (record.repository !== repository) return [];
      const saw = !record.ok ? `failed: ${record.text?.split('\n')[0]}` : ref === undefined ? 'read' : `read ${short(record.refs[ref] ?? null)}`;
      return [`${time} ${record.client} ${record.how} through ${record.controller}: ${saw}`];
    }
    case 'push': {
      if (record.repository !== repository) return [];
      return record.updates.filter((update) => ref === undefined || update.ref === ref).map((update) => (
        `${time} ${record.client} push through ${record.controller}: ${short(update.old)} → ${short(update.new)} ${update.outcome}${update.reason === undefined ? '' : ` (${update.reason})`}`));
    }
  }
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)}s`;
}
