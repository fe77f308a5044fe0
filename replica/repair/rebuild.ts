import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import type { RefsSnapshot, ReplicaPosition } from '@trivet/proto/messages.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import type { Journal } from '../participant/journal.ts';
import { asDiskFailure } from '../refs/disk-failure.ts';
import { removeOrphanLocks, RefStore } from '../refs/ref-store.ts';
import { readReplicaRecord, writeReplicaRecord } from '../repository/position-file.ts';
import type { Replica } from '../repository/replica.ts';
import { saveRecordIfThere, type Replicas } from '../repository/replicas.ts';
import { rebuildingDirectory, swap, touch } from '../repository/set-aside.ts';
import { removeUnfinished } from '../repository/store-leftovers.ts';
import { createBareRepository } from '../serve/repository-config.ts';
import { bring } from './bring.ts';
import { refuseAhead, refuseWhilePromised } from './expectation.ts';
import { JobMemory, type Brought, type Round } from './round.ts';
import type { Store } from './store.ts';

/** What a rebuild needs of its node. */
export interface RebuildParts {
  replicas: Replicas;
  journal: Journal;
  failpoint: Failpoint;
}

/**
 * Builds a replica anew beside the one that is there: the source's packs, proved to hold everything the source's refs reach,
 * and then those refs. They are written only after the proof, so whatever the refs of a half-built replica name is there,
 * and what a crash leaves can be gone on with.
 * @returns where it is built
 * @throws TrivetError as `bring`, disk_failure
 */
export async function build(
  gitDir: string, objectFormat: ObjectFormat, snapshot: RefsSnapshot, round: Round,
): Promise<{ directory: string; digest: string; brought: Brought }> {
  if (snapshot.objectFormat !== objectFormat) {
    throw new TrivetError('repair_failed', { source: round.source.url, problem: `the source is ${snapshot.objectFormat}` });
  }
  await mkdir(dirname(gitDir), { recursive: true }).catch((error: unknown) => { throw asDiskFailure(error); });
  const directory = await rebuildingDirectory(gitDir, round.job);
  const refs = await openOrCreate(directory, objectFormat, snapshot.head);
  await touch(directory);
  await removeUnfinished(directory);
  const store: Store = {
    gitDir: directory, objectFormat,
    head: () => refs.head,
    tips: () => refs.entries().map(([, oid]) => oid),
    // Nobody else knows of it.
    alone: (move) => move(),
    added: () => {},
    replaced: () => {},
  };
  // What is proved, its refs say; what the job knows of the old replica doesn't hold here.
  const brought = await bring(store, snapshot, { ...round, memory: new JobMemory() }, true);
  // The refs say that what they reach is there: it has to be on the disk before them.
  if (brought.objects > 0) await round.flush();
  await refs.replaceAll(snapshot.head, snapshot.refs);
  return { directory, digest: refs.digest, brought };
}

/**
 * Puts what was built in the place of the old replica, if there is one, which stays beside it.
 *
 * In this order: old and new replica are whole on the disk, records included; the journal says that earlier promises no
 * longer count, for the old one has what they did; the renames. So a crash anywhere leaves the old or the new replica, and
 * no promise is made so again on refs it wasn't made for.
 * @param replica the old one, when it can be opened
 * @throws TrivetError replica_busy, replica_ahead, disk_failure; then the old replica is in its place
 */
export async function swapIn(
  id: string, replica: Replica | undefined, built: { directory: string; objectFormat: ObjectFormat }, expect: ReplicaPosition, round: Round,
  { replicas, journal, failpoint }: RebuildParts,
): Promise<void> {
  const gitDir = replicas.gitDir(id);
  await writeReplicaRecord(built.directory, { repository: id, objectFormat: built.objectFormat, ...expect });
  const exchange = async () => {
    if (replica !== undefined) {
      refuseWhilePromised(replica);
      refuseAhead(id, replica.generation, expect);
    }
    const record = await readReplicaRecord(gitDir);
    if (record?.repository === id) refuseAhead(id, record.generation, expect);
    if (replica !== undefined) await saveRecordIfThere(replica);
    await round.flush();
    await failpoint('swap-flushed');
    await journal.append({ kind: 'restart', repository: id }, true);
    await failpoint('swap-journaled');
    await swap(gitDir, built.directory, round.job, () => failpoint('swap-between'));
    await failpoint('swap-done');
    await replicas.retire(id);
  };
  await (replica === undefined ? exchange() : replica.exclusively(exchange));
}

async function openOrCreate(directory: string, objectFormat: ObjectFormat, head: string): Promise<RefStore> {
  if (!existsSync(directory)) await createBareRepository(directory, objectFormat, head);
  await removeOrphanLocks(directory);
  try {
    return await RefStore.open(directory, objectFormat);
  } catch (error) {
    if (!(error instanceof TrivetError && error.code === 'refs_unreadable')) throw error;
    // Nothing in it is known to be proved: away with it.
    const away = `${directory.slice(0, directory.indexOf('.rebuilding-'))}.removed-${process.hrtime.bigint()}`;
    await rename(directory, away);
    await rm(away, { recursive: true, force: true });
    await createBareRepository(directory, objectFormat, head);
    return RefStore.open(directory, objectFormat);
  }
}
