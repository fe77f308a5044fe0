import { readFile } from 'node:fs/promises';
import type { Deployment } from '../deployment/deployment.ts';
import type { FaultKind } from '../nemesis/kinds.ts';
import type { Violation } from './violation.ts';

/** pino's number for `error`. */
const ERROR_LEVEL = 50;

/** An error line that a fault explains: which lines, by what faults of that part or of anything it needs, and why. */
interface Explained { part: 'controller' | 'node'; line: RegExp; by: readonly FaultKind[]; why: string }

const DISK_FAULTS: readonly FaultKind[] = ['fill-disk', 'fail-disk', 'power-loss', 'power-loss-everywhere'];

const EXPLAINED: readonly Explained[] = [
  { part: 'node', line: /ENOSPC|EROFS|EIO|no space left|read-only file system|input\/output error|disk_failure|sync exited/i, by: DISK_FAULTS, why: 'a disk that takes nothing is an error, and no other word would be honest' },
];

/** Error lines in the logs of all parts, and lines that are no log at all, that none of the faults of the run explains. */
export async function judgeLogs(deployment: Deployment, faults: ReadonlySet<FaultKind>): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const part of deployment.parts) {
    const text = await readFile(part.log, 'utf8').catch(() => '');
    const counts = new Map<string, { count: number; first: string }>();
    for (const line of text.split('\n')) {
      if (line === '' || !isError(line)) continue;
      if (EXPLAINED.some((each) => each.part === part.kind && each.line.test(line) && each.by.some((kind) => faults.has(kind)))) continue;
      const key = summaryOf(line);
      const known = counts.get(key);
      if (known === undefined) counts.set(key, { count: 1, first: line });
      else known.count += 1;
    }
    for (const [summary, { count, first }] of counts) {
      violations.push({ promise: 'logs have no error that no fault explains', text: `${part.name}, ${count} times: ${summary}\n${first.slice(0, 1_500)}` });
    }
  }
  return violations;
}

function isError(line: string): boolean {
  const record = parse(line);
  return record === undefined || record.level >= ERROR_LEVEL || record.msg === 'unexpected error';
}

function summaryOf(line: string): string {
  const record = parse(line);
  return record === undefined ? line.slice(0, 200) : `${record.msg}: ${record.err?.message ?? ''}`;
}

function parse(line: string): { level: number; msg: string; err?: { message?: string } } | undefined {
  try {
    return JSON.parse(line) as { level: number; msg: string };
  } catch {
    return undefined;
  }
}
