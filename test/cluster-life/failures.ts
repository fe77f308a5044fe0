import type { HistoryRecord } from '../chaos/history/history.ts';

/** What git or the server says to a client that has lost a race, or asks for what its refs don't allow: nothing has failed. */
const LOST_RACE = /\[(remote )?rejected\]|unable to delete|failed to push some refs/;

/**
 * Every operation between two moments of a run that a user would call failed: a read without an answer, a push of which
 * nobody knows what became, or that was refused for another reason than its refs.
 */
export function failuresBetween(records: readonly HistoryRecord[], begin: number, end: number): string[] {
  return records.filter((record) => record.begin >= begin && record.end <= end).flatMap((record): string[] => {
    if (record.type === 'read') return record.ok ? [] : [`${record.client} (${record.how}) ${record.repository}: ${record.text}`];
    if (record.type !== 'push') return [];
    return record.updates.filter(({ outcome, reason }) => outcome === 'unknown' || (outcome === 'rejected' && !LOST_RACE.test(reason ?? '')))
      .map(({ ref, outcome, reason }) => `${record.client} push ${record.repository} ${ref}: ${outcome}, ${reason}; ${record.text}`);
  });
}
