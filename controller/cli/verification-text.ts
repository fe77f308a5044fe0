import type { VerificationAnswer, VerifiedReplica } from '../rest/verification.ts';
import { formatBytes, formatCount, formatDuration } from './terminal/format.ts';
import type { Tone } from './terminal/paint.ts';
import type { Column } from './terminal/table.ts';

// How a verification is told to people.

export interface VerificationRow extends VerifiedReplica { repository: string }

const TONES: Record<VerifiedReplica['result'], Tone> = {
  equal: 'good', outdated: 'warn', unreachable: 'warn', diverged: 'bad', corrupt: 'bad', missing: 'bad',
};

/** The first column is the repository. */
export const VERIFICATION_COLUMNS: Column<VerificationRow>[] = [
  { title: 'REPOSITORY', cell: (row) => row.repository },
  { title: 'NODE', cell: (row) => row.node },
  { title: 'RESULT', cell: (row) => ({ text: row.result, tone: TONES[row.result] }) },
  { title: 'STATE BEFORE', cell: (row) => row.state },
  { title: 'PACKS', cell: (row) => formatCount(row.packs), right: true },
  { title: 'SIZE', cell: (row) => formatBytes(row.bytes), right: true },
  { title: 'TOOK', cell: (row) => formatDuration(row.tookMs), right: true },
  { title: 'DETAIL', cell: (row) => row.detail },
];

export function rowsOf({ repository, replicas }: VerificationAnswer): VerificationRow[] {
  return replicas.map((replica) => ({ repository, ...replica }));
}

export function isEqual({ result }: VerifiedReplica): boolean {
  return result === 'equal';
}

export function allEqual({ replicas }: VerificationAnswer): boolean {
  return replicas.every(isEqual);
}
