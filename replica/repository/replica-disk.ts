import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { finishMaintenance } from '../maintenance/leftovers.ts';
import { finishMigrations } from '../quarantine/finish-migrations.ts';
import { removeOrphanLocks, removeTornRefs, RefStore } from '../refs/ref-store.ts';
import type { Refs } from '../refs/refs.ts';
import { readReplicaRecord, removeUnfinishedRecords, writeReplicaRecord, type ReplicaRecord } from './position-file.ts';
import { removeQuarantines, type Replicas } from './replicas.ts';
import { removeUnfinished } from './store-leftovers.ts';

/** A node's replicas as they lie on its disk, as far as a starting node has to bring them in order. */
export interface ReplicaDisk {
  /** The ids of all replicas on the disk. */
  ids(): Promise<string[]>;
  has(id: string): Promise<boolean>;
  /** Takes away what a crash left of replicas that were being made or removed. */
  removeLeftovers(): Promise<void>;
  /** Takes away what a crash left inside one replica: locks, torn refs, quarantines, unfinished packs. */
  clean(id: string): Promise<void>;
  /** Where the replica says it stands; undefined when that can't be read. */
  readRecord(id: string): Promise<ReplicaRecord | undefined>;
  writeRecord(id: string, record: ReplicaRecord): Promise<void>;
  openRefs(id: string, objectFormat: ObjectFormat): Promise<Pick<Refs, 'apply'>>;
  /** Forgets what is in memory, so that the next use reads the disk again. */
  reopen(id: string): void;
  /** Lets nobody use a replica that lacks what was promised for it, until another directory takes its place. */
  keepOut(id: string, reason: unknown): void;
}

/** The real disk below `replicas`. */
export function replicaDisk(replicas: Replicas): ReplicaDisk {
  return {
    ids: () => replicas.ids(),
    has: (id) => replicas.has(id),
    removeLeftovers: () => replicas.removeLeftovers(),
    clean: async (id) => {
      const gitDir = replicas.gitDir(id);
      await removeOrphanLocks(gitDir);
      await removeTornRefs(gitDir);
      await removeUnfinished(gitDir);
      await finishMigrations(gitDir);
      // After them: a pack that is to go may just have come once more.
      await finishMaintenance(gitDir);
      await removeQuarantines(gitDir);
      await removeUnfinishedRecords(gitDir);
    },
    readRecord: (id) => readReplicaRecord(replicas.gitDir(id)),
    writeRecord: (id, record) => writeReplicaRecord(replicas.gitDir(id), record),
    openRefs: (id, objectFormat) => RefStore.open(replicas.gitDir(id), objectFormat),
    reopen: (id) => replicas.reopen(id),
    keepOut: (id, reason) => replicas.keepOut(id, reason),
  };
}
