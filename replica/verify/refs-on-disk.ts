import { TrivetError } from '@trivet/proto/errors.ts';
import type { ReplicaPosition } from '@trivet/proto/messages.ts';
import type { Replica } from '../repository/replica.ts';

/** Commits that may come in between; then the disk is read while they wait. */
const MAX_ATTEMPTS = 5;

/** Where a replica stands in memory, and what its disk has at the same moment. */
export interface RefsOnDisk {
  position: ReplicaPosition;
  /** Null when HEAD, packed-refs or a loose ref can't be read as what it should be; `unreadable` says why. */
  diskDigest: string | null;
  unreadable?: string;
}

/**
 * Computes the digest from the disk anew. Commits go on meanwhile: the disk is read between two looks at memory, and counts
 * only if both saw the same. A position is looked at in the replica's turn, for in the middle of a commit it has the new refs
 * and still the old generation.
 */
export async function refsOnDisk(replica: Replica): Promise<RefsOnDisk> {
  const look = () => replica.exclusively(async () => replica.position);
  for (let attempt = 1; attempt < MAX_ATTEMPTS; attempt++) {
    const before = await look();
    const disk = await read(replica);
    const after = await look();
    if (disk !== undefined && before.generation === after.generation && before.digest === after.digest) return { position: after, ...disk };
  }
  return replica.exclusively(async () => {
    const { position } = replica;
    const disk = await read(replica);
    if (disk === undefined) throw new TrivetError('replica_busy', { repository: replica.id });
    return { position, ...disk };
  });
}

/** Undefined when commits came in between each time. */
async function read({ refs }: Replica): Promise<Omit<RefsOnDisk, 'position'> | undefined> {
  try {
    return { diskDigest: await refs.digestFromDisk() };
  } catch (error) {
    if (!(error instanceof TrivetError)) throw error;
    if (error.code === 'replica_busy') return undefined;
    if (error.code !== 'refs_unreadable') throw error;
    return { diskDigest: null, unreadable: `${String(error.fields['path'])}: ${String(error.fields['problem'])}` };
  }
}
