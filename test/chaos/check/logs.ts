import { readFile } from 'node:fs/promises';
import type { Deployment } from '../deployment/deployment.ts';
import { FAULT_KINDS, kindOf, type FaultKind } from '../nemesis/kinds.ts';
import type { Violation } from './violation.ts';

/** pino's number for `error`. */
const ERROR_LEVEL = 50;

/** An error in a log that is as it should be: where, what, which faults explain it, and why. */
interface Explained { part: 'controller' | 'node'; what: RegExp; by: readonly FaultKind[]; why: string }

const DESTRUCTIONS = FAULT_KINDS.filter((kind) => kindOf(kind).destroys === true);

const EXPLAINED: readonly Explained[] = [
  {
    part: 'node', what: /ENOSPC|EROFS|EIO|could not write to its disk|sync exited|No space left|Read-only file system|Input\/output error/,
    by: ['fill-disk', 'fail-disk', 'power-loss', 'power-loss-everywhere'],
    why: 'a disk that takes nothing is an error, and a node that starts on one ends with it',
  },
  {
    part: 'node', what: /belongs to node\d+; nothing in it was changed/, by: ['swap-disks'], why: 'a node must not start on the disk of another one',
  },
  {
    part: 'node', what: /"code":"replica_missing".*"msg":"a replica can not be brought in order/, by: ['delete-replica'],
    why: 'of a directory that is deleted under a running node, a power cut brings a part back; a node that starts keeps it out',
  },
  {
    part: 'controller', what: /\(store_unavailable\)/,
    by: ['kill-database', 'stop-database', 'cut', 'isolate', 'slow-link', 'break-connections'],
    why: 'a controller that starts without its database says so and ends; its supervisor tries again',
  },
  {
    part: 'controller', what: /"kind":"(corrupt|diverged|missing|unknown)".*"msg":"a replica is not what it should be"/, by: DESTRUCTIONS,
    why: 'this is how verification tells what it found',
  },
  {
    part: 'controller', what: /"kind":"outdated".*"msg":"a replica is not what it should be"/,
    by: [...DESTRUCTIONS, 'cut', 'isolate', 'split', 'stop-controller', 'stop-database', 'kill-database', 'freeze-disk', 'fill-disk', 'fail-disk'],
    why: 'a commit that was decided but did not reach a node for seconds, which could not ask for it either',
  },
];

/** Errors in the logs of all parts that none of the faults of the run explains. */
export async function judgeLogs(deployment: Deployment, faults: ReadonlySet<FaultKind>): Promise<Violation[]> {
  const violations: Violation[] = [];
  for (const part of deployment.parts) {
    for (const [summary, { count, first }] of errorsOf(await readFile(part.log, 'utf8').catch(() => ''), part.kind, faults)) {
      violations.push({ promise: 'logs have no error that no fault explains', text: `${part.name}, ${count} times: ${summary}\n${first.slice(0, 1_500)}` });
    }
  }
  return violations;
}

/** @returns equal errors once, by what they say */
export function errorsOf(log: string, part: 'controller' | 'node', faults: ReadonlySet<FaultKind>): Map<string, { count: number; first: string }> {
  const errors = new Map<string, { count: number; first: string }>();
  for (const entry of entriesOf(log)) {
    const summary = errorIn(entry);
    if (summary === undefined) continue;
    if (EXPLAINED.some((each) => each.part === part && each.what.test(entry) && each.by.some((kind) => faults.has(kind)))) continue;
    const known = errors.get(summary);
    if (known === undefined) errors.set(summary, { count: 1, first: entry });
    else known.count += 1;
  }
  return errors;
}

/** Lines of JSON each, and what a dying process wrote in plain text together. */
function entriesOf(log: string): string[] {
  const entries: string[] = [];
  let plain = false;
  for (const line of log.split('\n')) {
    const isPlain = !line.startsWith('{');
    if (isPlain && plain) entries[entries.length - 1] += `\n${line}`;
    else entries.push(line);
    plain = isPlain;
  }
  return entries.filter((entry) => entry.trim() !== '');
}

/** What an entry says, if it says an error. A line that was cut off by a kill says nothing. */
function errorIn(entry: string): string | undefined {
  if (!entry.startsWith('{')) return entry.trim().split('\n')[0];
  try {
    const { level, msg, err } = JSON.parse(entry) as { level: number; msg: string; err?: { message?: string } };
    return level >= ERROR_LEVEL || msg === 'unexpected error' ? `${msg}${err?.message === undefined ? '' : `: ${err.message}`}` : undefined;
  } catch {
    return undefined;
  }
}
