import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { Clock } from '@trivet/proto/clock.ts';
import type { Failpoint } from '@trivet/proto/failpoint.ts';
import { writeCommitGraph } from '../git/commit-graph.ts';
import { dropMultiPackIndex, readMultiPackIndex, writeMultiPackIndex } from '../git/multi-pack-index.ts';
import { packDirectory } from '../git/pack-directory.ts';
import { PackIds } from '../git/pack-ids.ts';
import { gitsEnded } from '../git/process.ts';
import { syncPath } from '../repository/layout.ts';
import type { Replica } from '../repository/replica.ts';
import { removeUnfinished } from '../repository/store-leftovers.ts';
import { combine, install, packLoose } from './combine.ts';
import { wantsIndex } from './due.ts';
import { packsToCombine } from './geometry.ts';
import { removeStaged } from './leftovers.ts';
import { lookAtStore, type Look } from './look.ts';
import { looseObjects, removeLoose } from './loose.ts';
import { forgetRetired, isProven, readRetired, removeRetired, writeRetired } from './retired.ts';

/** What a maintenance works with. */
export interface Workbench {
  replica: Replica;
  signal: AbortSignal;
  clock: Clock;
  failpoint: Failpoint;
  /** How long gits are waited for that may still use what is to go. */
  graceMs: number;
  /** Bytes of the disk that may be used. */
  roomBytes(): number;
  /** Waits until nothing urgent goes on, for a while at most. */
  quiet(): Promise<void>;
  /** Told after packs have come and packs have gone: file names of indexes. */
  onReplaced(gone: readonly string[], come: readonly string[]): void;
  /** Told how long each step took. */
  onStep(step: Step, tookMs: number): void;
}

export const STEPS = ['combine', 'index', 'graph', 'remove'] as const;
export type Step = (typeof STEPS)[number];

/** What a maintenance has come to. */
export interface Worked {
  /** Packs before and after. */
  before: number;
  after: number;
}

/** A reflog that nobody has written to for so long goes: none is ever read here, and only hands make one. */
const REFLOG_MS = 90 * 86_400_000;

/**
 * Brings a store in order, in steps each of which leaves it sound:
 *
 *   combine   packs are made into one beside the store, which then gets its place
 *   index     the multi-pack index with its bitmaps covers what stays
 *   graph     the commit graph gets a layer
 *   remove    what is combined goes, when every git has ended that may still use it
 *
 * No object ever goes, reachable or not: before a pack is removed, each of its objects is proven to be in the new one, which
 * is on the disk. So nothing that anybody knows of a store becomes untrue but the names of its packs.
 * @throws TrivetError disk_failure when there is no room for a copy, git_failed; the signal's reason
 */
export async function work(bench: Workbench, whole: boolean): Promise<Worked> {
  const { replica, clock } = bench;
  const { gitDir } = replica;
  // An earlier one may have been stopped, or its git killed. Nobody else writes into the store but by renaming.
  await removeStaged(gitDir);
  await removeUnfinished(gitDir);
  await removeOldReflogs(gitDir, clock.now() - REFLOG_MS);
  await finishRemoval(bench);
  const before = await lookAtStore(gitDir, clock.now());
  await gatherLoose(bench);
  const look = await lookAtStore(gitDir, clock.now());
  const gone = whole && look.packs.length > 1 ? look.packs.map((pack) => pack.name) : packsToCombine(look.packs);
  const made = gone.length > 1 ? await timed(bench, 'combine', () => combineInto(bench, look, gone)) : undefined;
  // git works without either, so what has been combined goes all the same.
  const troubles = [await troubleOf(bench, () => index(bench, whole, made, gone)), await troubleOf(bench, () => graph(bench))];
  if (made !== undefined) {
    const retired = { made, gone: gone.filter((name) => name !== made) };
    await writeRetired(gitDir, retired);
    await bench.failpoint('maintenance-retired');
    await finishRemoval(bench);
  }
  for (const trouble of troubles) if (trouble !== undefined) throw trouble;
  return { before: before.facts.packs, after: (await lookAtStore(gitDir, clock.now())).facts.packs };
}

/** Makes one pack of some, and gives it its place beside them. */
async function combineInto(bench: Workbench, { packs }: Look, gone: readonly string[]): Promise<string> {
  const { replica, signal } = bench;
  const { gitDir } = replica;
  const names = new Set(gone);
  const bytes = packs.reduce((sum, pack) => sum + (names.has(pack.name) ? pack.bytes : 0), 0);
  if (bytes > bench.roomBytes()) throw new TrivetError('disk_failure', { problem: 'there is no room to combine packs', bytes });
  await bench.quiet();
  const made = await combine(gitDir, gone, signal);
  await bench.failpoint('maintenance-combined');
  await placed(bench, made);
  await bench.failpoint('maintenance-installed');
  return made;
}

/** Loose objects cost a file each, and make every question for an absent object one for git. */
async function gatherLoose(bench: Workbench): Promise<void> {
  const { replica, signal } = bench;
  const oids = await looseObjects(replica.gitDir);
  if (oids.length === 0) return;
  await timed(bench, 'combine', async () => {
    const made = await packLoose(replica.gitDir, oids, signal);
    await placed(bench, made);
    const ids = await PackIds.open(join(packDirectory(replica.gitDir), `${made}.idx`), replica.objectFormat);
    try {
      if (ids.count !== oids.length) throw new TrivetError('git_failed', { args: ['pack-objects'], objects: ids.count, asked: oids.length });
    } finally {
      await ids.close();
    }
    await readersGone(bench);
    await inTurn(bench, async (gitDir) => {
      await removeLoose(gitDir, oids);
      bench.onReplaced([], [`${made}.idx`]);
    });
  });
}

async function placed(bench: Workbench, made: string): Promise<void> {
  await bench.quiet();
  await inTurn(bench, async (gitDir) => {
    await install(gitDir, made);
    bench.onReplaced([], [`${made}.idx`]);
  });
}

/**
 * Covers what stays. It is left as it is when it still names no pack that goes and knows of nearly all objects: writing one
 * reads every commit.
 */
async function index(bench: Workbench, whole: boolean, made: string | undefined, gone: readonly string[]): Promise<void> {
  const { replica, signal, clock } = bench;
  const { gitDir } = replica;
  const { facts, indexes, packs } = await lookAtStore(gitDir, clock.now());
  const doomed = new Set(made === undefined ? [] : gone.filter((name) => name !== made).map((name) => `${name}.idx`));
  const old = await readMultiPackIndex(gitDir);
  const covers = doomed.values().some((name) => old?.indexes.has(name) === true);
  if (!covers && !whole && !wantsIndex(facts)) return;
  const staying = indexes.filter((name) => !doomed.has(name));
  const largest = packs.filter((pack) => !doomed.has(`${pack.name}.idx`)).sort((a, b) => b.objects - a.objects)[0];
  await timed(bench, 'index', async () => {
    await bench.quiet();
    await rearranging(replica, async () => {
      try {
        if (staying.length > 0) await writeMultiPackIndex(gitDir, staying, `${(largest ?? { name: staying[0]!.slice(0, -'.idx'.length) }).name}.idx`, signal);
      } catch (error) {
        // It may name what goes.
        if (covers) await dropMultiPackIndex(gitDir);
        throw error;
      }
      await syncPath(packDirectory(gitDir));
    });
  });
  await bench.failpoint('maintenance-indexed');
}

async function graph(bench: Workbench): Promise<void> {
  await timed(bench, 'graph', async () => {
    await bench.quiet();
    await rearranging(bench.replica, () => writeCommitGraph(bench.replica.gitDir, bench.signal));
  });
  await bench.failpoint('maintenance-graphed');
}

/**
 * Removes what a maintenance has combined, when every git has ended that was there before the new pack had its place, and may
 * not have looked again since. One that has begun later finds the new pack first; and one that misses an object looks again.
 */
async function finishRemoval(bench: Workbench): Promise<void> {
  const { replica, signal } = bench;
  const { gitDir } = replica;
  const retired = await readRetired(gitDir);
  if (retired === undefined) return;
  if (!await isProven(gitDir, retired, signal)) return forgetRetired(gitDir);
  await timed(bench, 'remove', async () => {
    // The one that answers this node's own questions never ends: it is let go of, and the next one sees the new pack.
    bench.onReplaced([], [`${retired.made}.idx`]);
    await readersGone(bench);
    await bench.quiet();
    await inTurn(bench, async () => {
      await removeRetired(gitDir, retired, () => bench.failpoint('maintenance-half-removed'));
      bench.onReplaced(retired.gone.map((name) => `${name}.idx`), [`${retired.made}.idx`]);
    });
  });
  await bench.failpoint('maintenance-removed');
}

/** In the replica's turn, unless it has been told to stop or the replica has another directory by now. */
async function inTurn({ replica, signal }: Workbench, change: (gitDir: string) => Promise<void>): Promise<void> {
  await replica.exclusively(async () => {
    signal.throwIfAborted();
    if (replica.retired) throw new TrivetError('replica_busy', { repository: replica.id });
    await rearranging(replica, () => change(replica.gitDir));
  });
}

/** Lets a verification know that what it sees meanwhile isn't what it was. */
async function rearranging(replica: Replica, change: () => Promise<void>): Promise<void> {
  replica.rearranged += 1;
  try {
    await change();
  } finally {
    replica.rearranged += 1;
  }
}

async function removeOldReflogs(gitDir: string, beforeMs: number): Promise<void> {
  const logs = join(gitDir, 'logs');
  const names = await readdir(logs, { recursive: true, withFileTypes: true }).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  for (const entry of names) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile() && (await stat(path)).mtimeMs < beforeMs) await rm(path, { force: true });
  }
}

async function timed<T>({ clock, onStep }: Workbench, step: Step, action: () => Promise<T>): Promise<T> {
  const startedAt = clock.elapsed();
  try {
    return await action();
  } finally {
    onStep(step, clock.elapsed() - startedAt);
  }
}

/** What kept a step from its end; undefined when nothing did. Throws the signal's reason. */
async function troubleOf({ signal }: Workbench, step: () => Promise<void>): Promise<unknown> {
  try {
    await step();
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error;
  }
}

/**
 * Waits for every git that works in the repository now. A clone may take as long as its client wants: then it has long opened
 * what it needs, and an open file stays readable when its name has gone.
 */
async function readersGone({ replica, clock, graceMs, signal }: Workbench): Promise<void> {
  const over = new AbortController();
  try {
    await Promise.race([gitsEnded(replica.gitDir), clock.sleep(graceMs, AbortSignal.any([signal, over.signal]))]);
  } finally {
    over.abort();
  }
}
