import { TrivetError } from '@trivet/proto/errors.ts';
import type { SettleAnswer } from '@trivet/proto/messages.ts';
import type { RefChange, RefUpdate } from '../refs/ref-store.ts';
import type { ReplicaDisk } from '../repository/replica-disk.ts';
import type { JournalRecord, PromiseRecord } from './journal.ts';
import { promises } from './promises.ts';

/** A promise on record and how it ended, as far as the journal knows. */
interface PromiseOnRecord {
  promise: PromiseRecord;
  outcome: 'commit' | 'abort' | undefined;
}

/** Asks for the decision on a promise; keeps asking until somebody knows. */
export type LearnOutcome = (promise: PromiseRecord) => Promise<SettleAnswer>;

/** What a recovery has come to. */
export interface Recovered {
  /** How many promises were in doubt. */
  inDoubt: number;
  /** Replicas that could not be brought in order, and why. They are kept out until they are made anew. */
  failed: Map<string, unknown>;
  /** What was promised and decided for those: the journal must carry it on. */
  kept: JournalRecord[];
}

/**
 * Brings the disk back to what was promised and decided, before the node serves anything:
 * removes what a killed process left (lock files, quarantines, torn files), learns the decision on every promise without
 * an outcome, and makes the refs of all committed ones so again. Doing all of it twice changes nothing, so a crash in the
 * middle only means starting over.
 *
 * Whatever goes wrong with one replica is that replica's trouble alone: the node starts without it, and forgets nothing of
 * what was promised for it until a repair has put another in its place.
 * @throws what `learn` throws
 */
export async function recover(disk: ReplicaDisk, records: readonly JournalRecord[], learn: LearnOutcome): Promise<Recovered> {
  await disk.removeLeftovers();
  const failed = new Map<string, unknown>();
  /** Undefined when it failed, now or before. */
  const attempt = async <T>(id: string, action: () => Promise<T>): Promise<T | undefined> => {
    if (failed.has(id)) return undefined;
    try {
      return await action();
    } catch (error) {
      failed.set(id, error);
      return undefined;
    }
  };
  for (const id of await disk.ids()) await attempt(id, () => disk.clean(id));
  const kept: JournalRecord[] = [];
  let inDoubt = 0;
  for (const [repository, onRecord] of promisesByRepository(records)) {
    if (await attempt(repository, () => disk.has(repository)) === false) continue;
    const committed: PromiseRecord[] = [];
    for (const { promise, outcome } of onRecord) {
      if (outcome === undefined) inDoubt += 1;
      if ((outcome ?? await outcomeOf(promise, learn)) === 'commit') committed.push(promise);
    }
    if (committed.length > 0) await attempt(repository, () => redo(disk, repository, committed));
    if (failed.has(repository)) {
      for (const promise of committed) kept.push(promise, { kind: 'committed', repository, batch: promise.batch });
    }
    disk.reopen(repository);
  }
  for (const [id, error] of failed) disk.keepOut(id, error);
  return { inDoubt, failed, kept };
}

/** A promise of something else than was decided is dropped, whatever the decision: this replica has no part in it. */
async function outcomeOf(promise: PromiseRecord, learn: LearnOutcome): Promise<'commit' | 'abort'> {
  const settled = await learn(promise);
  return settled.outcome === 'commit' && promises(promise, settled.after) ? 'commit' : 'abort';
}

/** Several changes, one after another, as one: for each ref the last value it got. */
export function mergeChanges(changes: readonly RefChange[]): RefChange {
  const updates = new Map<string, RefUpdate>();
  let head: RefChange['head'];
  for (const change of changes) {
    for (const update of change.updates) {
      updates.set(update.ref, { ref: update.ref, old: updates.get(update.ref)?.old ?? update.old, new: update.new });
    }
    if (change.head !== undefined) head = { old: head?.old ?? change.head.old, new: change.head.new };
  }
  return { updates: [...updates.values()], ...(head === undefined ? {} : { head }) };
}

/** For each repository its promises in order, without those from before it was made anew. */
export function promisesByRepository(records: readonly JournalRecord[]): Map<string, PromiseOnRecord[]> {
  const repositories = new Map<string, PromiseOnRecord[]>();
  for (const record of records) {
    const promises = repositories.get(record.repository) ?? [];
    repositories.set(record.repository, promises);
    switch (record.kind) {
      case 'promise':
        // A journal that changed files in the middle of a crash has the same promise in both.
        if (!promises.some(({ promise }) => promise.batch === record.batch)) promises.push({ promise: record, outcome: undefined });
        break;
      case 'committed':
      case 'aborted':
        for (const entry of promises) {
          if (entry.promise.batch === record.batch) entry.outcome = record.kind === 'committed' ? 'commit' : 'abort';
        }
        break;
      case 'restart':
        promises.length = 0;
        break;
    }
  }
  return repositories;
}

/** @param committed the committed promises of one repository since its files were last flushed, oldest first */
async function redo(disk: ReplicaDisk, repository: string, committed: readonly PromiseRecord[]): Promise<void> {
  const record = await disk.readRecord(repository);
  // Without a record of its own nobody knows what this replica was; it is left for repair.
  if (record?.repository !== repository) throw new TrivetError('replica_missing', { repository });
  const refs = await disk.openRefs(repository, record.objectFormat);
  await refs.apply(mergeChanges(committed.map((promise) => promise.change)));
  const last = committed.at(-1)!.after;
  // The record is written seldom; what it has beyond the journal came from a repair.
  if (last.generation > record.generation) await disk.writeRecord(repository, { ...record, ...last });
}
