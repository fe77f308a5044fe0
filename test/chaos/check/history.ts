import { PAIR_REFS } from '../clients/refs.ts';
import type { FaultRecord, HistoryRecord, PushRecord, ReadRecord, Value } from '../history/history.ts';
import { checkRegister, type RegisterOperation } from './register.ts';
import type { Violation } from './violation.ts';

/** What a client hears when its connection or its server has a bad day. Anything else a read fails with is looked at. */
const BAD_DAY = [
  'the client gave up', 'RPC failed', 'The requested URL returned error: 503', 'unable to access', 'the remote end hung up unexpectedly',
  'Connection reset', 'Empty reply', 'early EOF', 'unexpected disconnect', 'expected flush after', 'trivet: ',
];

/** What git says that unpacks what it was sent and finds it damaged. It then keeps nothing of it. */
const DAMAGED_PACK = ['inflate', 'index-pack failed', 'unpack-objects failed'];

/**
 * Everything that clients can hold against a cluster, from what they did and saw:
 * every ref, on its own, behaved like one register whoever asked; what was rejected was never seen; what was pushed atomically
 * was never seen in part; and nobody was told anything that can't be.
 * @param ids each repository's id by its name, to tell which of them a fault damaged
 */
export function judgeHistory(records: readonly HistoryRecord[], ids: ReadonlyMap<string, string> = new Map()): Violation[] {
  const pushes = records.filter((record): record is PushRecord => record.type === 'push');
  const reads = records.filter((record): record is ReadRecord => record.type === 'read');
  const flips = records.filter((record): record is FaultRecord => record.type === 'fault' && record.kind === 'flip-bit');
  const strange = strangeWords(reads).filter((read) => !wasSentFlippedBit(read, flips, ids.get(read.repository)));
  return [...rejectedButSeen(pushes, reads), ...tornPairs(reads), ...strange.map(strangeness), ...registers(pushes, reads)];
}

/** @returns the operations on each ref of each repository, by repository and ref */
export function operationsByRef(pushes: readonly PushRecord[], reads: readonly ReadRecord[]): Map<string, Map<string, RegisterOperation[]>> {
  const repositories = new Map<string, Map<string, RegisterOperation[]>>();
  const of = (repository: string, ref: string) => {
    const refs = repositories.get(repository) ?? new Map<string, RegisterOperation[]>();
    repositories.set(repository, refs);
    const operations = refs.get(ref) ?? [];
    refs.set(ref, operations);
    return operations;
  };
  for (const { repository, updates, begin, end, client } of pushes) {
    for (const update of updates) {
      // To have been refused means to have changed nothing; that its value is never seen is looked at apart.
      const operations = of(repository, update.ref);
      if (update.outcome === 'rejected') continue;
      const certain = update.outcome === 'ok';
      operations.push({ kind: 'set', begin, end: certain ? end : Infinity, old: update.old, new: update.new, certain, label: client });
    }
  }
  for (const { repository, refs, ok } of reads) if (ok) for (const ref of Object.keys(refs)) of(repository, ref);
  for (const { repository, refs, ok, begin, end, client, how } of reads) {
    if (!ok) continue;
    // A ref that isn't listed isn't there: that, too, was read.
    for (const [ref, operations] of repositories.get(repository) ?? []) {
      operations.push({ kind: 'read', begin, end, value: refs[ref] ?? null, label: `${client} (${how})` });
    }
  }
  return repositories;
}

function registers(pushes: readonly PushRecord[], reads: readonly ReadRecord[]): Violation[] {
  const violations: Violation[] = [];
  for (const [repository, refs] of operationsByRef(pushes, reads)) {
    for (const [ref, operations] of refs) {
      const fault = checkRegister(operations);
      if (fault === undefined) continue;
      const { operation, possible } = fault;
      const did = operation.kind === 'read' ? `read ${short(operation.value)}` : `moved it from ${short(operation.old)} to ${short(operation.new)}`;
      violations.push({
        promise: 'every acknowledged push is seen by every later read, and every ref moves only from where it is',
        text: `${operation.label} ${did}, when it could only be at ${possible.map(short).join(' or ')}`,
        repository, ref, begin: operation.begin, end: operation.end,
      });
    }
  }
  return violations;
}

function rejectedButSeen(pushes: readonly PushRecord[], reads: readonly ReadRecord[]): Violation[] {
  const rejected = new Map<string, PushRecord>();
  for (const push of pushes) {
    for (const update of push.updates) if (update.outcome === 'rejected' && update.new !== null) rejected.set(key(push.repository, update.ref, update.new), push);
  }
  return reads.flatMap((read) => Object.entries(read.refs).flatMap(([ref, value]): Violation[] => {
    const push = rejected.get(key(read.repository, ref, value));
    if (push === undefined) return [];
    return [{
      promise: 'a rejected push is never visible',
      text: `${read.client} (${read.how}) read ${short(value)}, whose push by ${push.client} had been rejected`,
      repository: read.repository, ref, begin: push.begin, end: read.end,
    }];
  }));
}

function tornPairs(reads: readonly ReadRecord[]): Violation[] {
  const [a, b] = PAIR_REFS;
  return reads.filter((read) => read.ok && read.refs[a] !== read.refs[b]).map((read) => ({
    promise: 'an atomic push is seen as a whole or not at all',
    text: `${read.client} (${read.how}) read ${a} at ${short(read.refs[a] ?? null)} and ${b} at ${short(read.refs[b] ?? null)}`,
    repository: read.repository, ref: a, begin: read.begin, end: read.end,
  }));
}

function strangeWords(reads: readonly ReadRecord[]): ReadRecord[] {
  return reads.filter((read) => !read.ok && !BAD_DAY.some((words) => read.text?.includes(words)));
}

function strangeness(read: ReadRecord): Violation {
  return {
    promise: 'a read that fails fails for want of a connection or a server, never for want of an object',
    text: `${read.client} (${read.how}) was told: ${read.text}`,
    repository: read.repository, begin: read.begin, end: read.end,
  };
}

/**
 * Git copies objects out of a pack unread, so that until verification comes to a flipped bit, a client may be sent it. The
 * client notices, for it hashes every object. Once all is repaired, nobody is sent one.
 */
function wasSentFlippedBit(read: ReadRecord, flips: readonly FaultRecord[], id: string | undefined): boolean {
  return read.how !== 'final' && DAMAGED_PACK.some((words) => read.text?.includes(words))
    && flips.some((flip) => flip.begin <= read.end && id !== undefined && flip.replicas?.includes(id));
}

export function short(value: Value): string {
  return value === null ? 'nothing' : value.slice(0, 10);
}

function key(repository: string, ref: string, value: string): string {
  return `${repository} ${ref} ${value}`;
}
