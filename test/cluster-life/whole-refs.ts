import { OK } from '@trivet/proto/vote.ts';
import { zeroOid } from '@trivet/proto/object-format.ts';
import { RefTable } from '../../replica/refs/ref-table.ts';
import type { HistoryRecord, PushRecord, Value } from '../chaos/history/history.ts';
import { checkLinearizable, type Linearizability, type Operation } from '../simulation/linearizability.ts';
import { MAIN } from './production.ts';

/**
 * Whether what git clients did and saw of one repository can be put in one order. All refs together are one object here: a
 * listing shows them at one moment, and a push moves all that it moves at one. HEAD isn't listed, and stays where the first push of the history has put it.
 */
export function checkRepository(records: readonly HistoryRecord[], repository: string): Linearizability {
  const operations = records.flatMap((record, i): Operation[] => {
    if (record.type === 'read' && record.repository === repository && record.ok) {
      const { digest } = new RefTable(MAIN, new Map(Object.entries(record.refs)));
      return [{ kind: 'read', from: record.begin, to: record.end, digest, what: `${i}: ${record.client} reads through ${record.controller}` }];
    }
    return record.type === 'push' && record.repository === repository ? pushed(record, `${i}: ${record.client} pushes through ${record.controller}`) : [];
  });
  return checkLinearizable(operations, MAIN);
}

/** What a push did, or may have done. Refs of it that were refused moved nothing. */
function pushed({ begin, end, updates, atomic }: PushRecord, what: string): Operation[] {
  const unknown = updates.some(({ outcome }) => outcome === 'unknown');
  const commands = updates.filter(({ outcome }) => outcome !== 'rejected').map((update) => ({ ref: update.ref, old: oid(update.old), new: oid(update.new) }));
  if (commands.length === 0) return [];
  return [{ kind: 'push', from: begin, to: unknown ? Infinity : end, commands, atomic, verdicts: unknown ? undefined : commands.map(() => OK), what }];
}

function oid(value: Value): string {
  return value ?? zeroOid('sha1');
}
