import { access } from 'node:fs/promises';
import { finishMigrations } from '../quarantine/finish-migrations.ts';
import { removeOrphanLocks, removeTornRefs, RefStore, type RefChange, type RefUpdate } from '../refs/ref-store.ts';
import { readReplicaRecord, writeReplicaRecord } from '../repository/position-file.ts';
import { removeQuarantines, type Replicas } from '../repository/replicas.ts';
import type { JournalRecord, PromiseRecord } from './journal.ts';

/** A promise on record and how it ended, as far as the journal knows. */
interface PromiseOnRecord {
  promise: PromiseRecord;
  outcome: 'commit' | 'abort' | undefined;
}

/** Asks for the decision on a promise; keeps asking until somebody knows. */
export type LearnOutcome = (promise: PromiseRecord) => Promise<'commit' | 'abort'>;

/**
 * Brings the disk back to what was promised and decided, before the node serves anything:
 * removes what a killed process left (lock files, quarantines, torn files), learns the decision on every promise without
 * an outcome, and makes the refs of all committed ones so again. Doing all of it twice changes nothing, so a crash in the
 * middle only means starting over.
 * @returns the number of promises that were in doubt
 */
export async function recover(replicas: Replicas, records: readonly JournalRecord[], learn: LearnOutcome): Promise<number> {
  await replicas.removeLeftovers();
  for (const id of await replicas.ids()) {
    const gitDir = replicas.gitDir(id);
    await removeOrphanLocks(gitDir);
    await removeTornRefs(gitDir);
    await finishMigrations(gitDir);
    await removeQuarantines(gitDir);
  }
  let inDoubt = 0;
  for (const [repository, promises] of promisesByRepository(records)) {
    const gitDir = replicas.gitDir(repository);
    if (!await exists(gitDir)) continue;
    const committed: PromiseRecord[] = [];
    for (const { promise, outcome } of promises) {
      if (outcome === undefined) inDoubt += 1;
      if ((outcome ?? await learn(promise)) === 'commit') committed.push(promise);
    }
    if (committed.length > 0) await redo(gitDir, committed);
    replicas.reopen(repository);
  }
  return inDoubt;
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
async function redo(gitDir: string, committed: readonly PromiseRecord[]): Promise<void> {
  const record = await readReplicaRecord(gitDir);
  // Without a record nobody knows what this replica was; it is left for repair.
  if (record === undefined) return;
  const refs = await RefStore.open(gitDir, record.objectFormat);
  await refs.apply(mergeChanges(committed.map((promise) => promise.change)));
  const last = committed.at(-1)!.after;
  // The record is written seldom; what it has beyond the journal came from a repair.
  if (last.generation > record.generation) await writeReplicaRecord(gitDir, { ...record, ...last });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}
