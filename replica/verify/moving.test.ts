import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Replica } from '../repository/replica.ts';
import { lookForPacks } from './packs-on-disk.ts';
import { Problems } from './problems.ts';
import { refsOnDisk } from './refs-on-disk.ts';

// What moves while it is looked at, one step after another.

test('a commit between reading the disk and looking at memory is no divergence: both are looked at again', async (t) => {
  const { replica, commit } = movingReplica(({ reads }) => { if (reads === 1) commit(); });
  t.deepEqual(await refsOnDisk(replica), { position: { generation: 2, digest: 'd2' }, diskDigest: 'd2' });
});

test('when commits come in between every time, the disk is read in the replica\'s turn', async (t) => {
  const { replica, commit, state } = movingReplica(() => { if (!state.inTurn) commit(); });
  const { position, diskDigest } = await refsOnDisk(replica);
  t.is(diskDigest, position.digest);
  t.is(state.reads, 5);
});

test('refs that move faster than they can be read are read in the turn as well; who can\'t be read then is busy', async (t) => {
  const busy = () => { throw new TrivetError('replica_busy'); };
  const first = movingReplica(({ inTurn }) => { if (!inTurn) busy(); });
  t.like(await refsOnDisk(first.replica), { diskDigest: 'd1' });
  await t.throwsAsync(refsOnDisk(movingReplica(busy).replica), { code: 'replica_busy' });
});

test('control: a disk that stays behind is told with what memory has', async (t) => {
  const { replica, state } = movingReplica(() => {});
  state.disk = 'other';
  t.deepEqual(await refsOnDisk(replica), { position: { generation: 1, digest: 'd1' }, diskDigest: 'other' });
});

for (const [what, suffix, arrives] of [
  ['a pack whose index comes a moment later is no finding', '.pack', true], ['control: one whose index doesn\'t come is', '.pack', false],
  ['control: so is an index without its pack', '.idx', false],
] as const) {
  test(what, async (t) => {
    const gitDir = mkdtempSync(join(tmpdir(), 'trivet-moving-'));
    t.teardown(() => rmSync(gitDir, { recursive: true }));
    const path = join(gitDir, 'objects/pack', `pack-${'a'.repeat(40)}`);
    mkdirSync(join(gitDir, 'objects/pack'), { recursive: true });
    writeFileSync(`${path}${suffix}`, '');
    const problems = new Problems();
    // The turn comes when the migration before it is over.
    const exclusively = async <T>(action: () => Promise<T>): Promise<T> => {
      if (arrives) writeFileSync(`${path}.idx`, '');
      return action();
    };
    await lookForPacks({ gitDir, exclusively }, new Set(), problems);
    t.is(problems.found.length, arrives ? 0 : 1);
  });
}

test('a pack that was seen and has gone with its index is found, one that is there is not', async (t) => {
  const gitDir = mkdtempSync(join(tmpdir(), 'trivet-moving-'));
  t.teardown(() => rmSync(gitDir, { recursive: true }));
  mkdirSync(join(gitDir, 'objects/pack'), { recursive: true });
  const [here, gone] = ['a', 'b'].map((digit) => `pack-${digit.repeat(40)}`);
  for (const suffix of ['.pack', '.idx']) writeFileSync(join(gitDir, 'objects/pack', `${here}${suffix}`), '');
  const problems = new Problems();
  await lookForPacks({ gitDir, exclusively: (action) => action() }, new Set([`${here}.idx`, `${gone}.idx`]), problems);
  t.deepEqual(problems.found, [{ kind: 'corrupt', detail: `${gone}.idx and its pack have gone` }]);
});

/** A replica at generation 1 with the digest `d1`, on the disk as well; `during` runs while the disk is read, after its digest was taken. */
function movingReplica(during: (state: { reads: number; inTurn: boolean }) => void) {
  const state = { generation: 1, disk: undefined as string | undefined, reads: 0, inTurn: false };
  const digest = () => `d${state.generation}`;
  const replica = {
    id: 'r',
    get position() { return { generation: state.generation, digest: digest() }; },
    exclusively: async <T>(action: () => Promise<T>): Promise<T> => {
      state.inTurn = true;
      try {
        return await action();
      } finally {
        state.inTurn = false;
      }
    },
    refs: {
      digestFromDisk: async () => {
        state.reads += 1;
        const read = state.disk ?? digest();
        during(state);
        return read;
      },
    },
  };
  return { replica: replica as unknown as Replica, state, commit: () => { state.generation += 1; } };
}
