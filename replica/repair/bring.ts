import { TrivetError } from '@trivet/proto/errors.ts';
import type { PackListing, RefsSnapshot } from '@trivet/proto/messages.ts';
import { isClosed } from '../git/closure.ts';
import { readPackDirectory, type PackDirectory } from '../git/pack-directory.ts';
import { incomingDirectory } from '../repository/layout.ts';
import { gitFetch } from './git-fetch.ts';
import { install, makeDurable, sizeOf } from './install.ts';
import { NOTHING, type Brought, type Round } from './round.ts';
import type { Store } from './store.ts';
import { PackGone, transferPacks, type WantedPack } from './transfer.ts';

// Measured with git 2.39 over loopback, two cores busy with other work: copying costs 0.8 ms for each file and then runs at
// 100 MB a second, checks and flush included; git fetch costs 150 ms before its first byte and then runs at 40 MB a second,
// for it takes every object apart. 1,000 packs of 0.4 KB: 1,600 ms against 320. One pack of 600 MB: 6 s against 14.
const COPY_MS_PER_PACK = 2 * 0.8;
const COPY_BYTES_PER_MS = 100_000;
const FETCH_MS = 150;
const FETCH_BYTES_PER_MS = 40_000;
/**
 * What copying may bring twice: objects that are here already in packs of other names. Packs of a push have the same name
 * on every node, so this is little unless somebody has combined packs.
 */
const MAX_WASTE_BYTES = 64 * 1024 * 1024;
/**
 * So little is copied without asking first whether anything is missing at all, which means a walk over the store. While
 * pushes go on something always is, and in the last round, which they wait for, every walk counts.
 */
const COPIED_UNASKED = { packs: 64, bytes: 4 * 1024 * 1024 };
/** The source combines its packs at most so often while a round copies them. */
const MAX_LISTINGS = 3;

/**
 * Brings everything that the source's refs reach and this store lacks, whichever way is cheaper: whole packs, or by git.
 * When it resolves that is proved by a walk over what is new. Refs stay as they are.
 * @param copy takes whole packs even where git would be cheaper, because there is nothing here yet
 * @throws TrivetError repair_failed when the source itself lacks something, node_unreachable, git_failed, disk_failure
 */
export async function bring(store: Store, snapshot: RefsSnapshot, round: Round, copy = false): Promise<Brought> {
  const { gitDir } = store;
  const { memory, source, progress, signal } = round;
  const tips = new Set(snapshot.refs.map(([, oid]) => oid));
  const proven = new Set(store.tips()).union(memory.proven);
  const wanted = tips.difference(proven);
  if (wanted.size === 0) return NOTHING;
  const before = await readPackDirectory(gitDir);
  const isComplete = () => isClosed(gitDir, wanted, proven, signal);
  let { listed, copied } = await copyPacks(store, before, round, isLittle);
  let complete = await isComplete();
  if (!complete && !copied) {
    ({ listed, copied } = await copyPacks(store, before, round, (missing, waste) => copy || copyingIsCheaper(missing, waste)));
    complete = copied && await isComplete();
  }
  if (!complete) {
    try {
      await gitFetch({ gitDir, source, wanted, have: memory.proven, all: copied, progress, signal });
    } finally {
      // Even a fetch that failed may have left a pack.
      store.added();
    }
    if (!await isComplete()) throw new TrivetError('repair_failed', { source: source.url, problem: 'not everything that its refs reach is there' });
  }
  memory.proven = tips;
  // A pack comes to the source before the refs that need it. One that wasn't copied is left out from now on only if it was
  // there a round ago, when these refs had yet to come; any other may be what the next round wants.
  memory.covered = copied ? listed : listed.intersection(memory.covered.union(memory.seen));
  memory.seen = listed;
  return broughtSince(before, gitDir);
}

/**
 * Copies the packs of the source that are not here under their name and size, if `cheaper` says so.
 * @returns whether it did, and the names of all packs of the source
 */
async function copyPacks(
  store: Store, own: PackDirectory, round: Round, cheaper: (missing: readonly WantedPack[], wasteBytes: number) => boolean,
): Promise<{ listed: Set<string>; copied: boolean }> {
  for (let listings = 1; ; listings++) {
    const listing = await round.source.packs();
    const listed = new Set(listing.packs.map((pack) => pack.name));
    const missing = missingPacks(listing, own).filter((pack) => !round.memory.covered.has(pack.name));
    if (missing.length === 0 || !cheaper(missing, wasteOf(listed, own, missing))) return { listed, copied: false };
    try {
      await copyInto(store, missing, round);
      return { listed, copied: true };
    } catch (error) {
      if (!(error instanceof PackGone)) throw error;
      if (listings === MAX_LISTINGS) throw new TrivetError('repair_failed', { source: round.source.url, problem: 'its packs change all the time' });
    }
  }
}

/** Copies these packs into a store: brought, checked, made durable, and only then given their names. */
export async function copyInto(store: Store, wanted: readonly WantedPack[], round: Round): Promise<void> {
  const { source, pace, progress, signal, job, flush } = round;
  const { gitDir, objectFormat } = store;
  const files = await transferPacks(wanted, { source, objectFormat, into: incomingDirectory(gitDir), pace, progress, signal });
  await makeDurable(gitDir, files, flush);
  await store.alone(() => install(gitDir, files, job));
  store.added();
}

/** What has come to a store since its directory was read. */
export async function broughtSince(before: PackDirectory, gitDir: string): Promise<Brought> {
  const known = new Map(before.packs.map((pack) => [pack.name, pack.bytes]));
  const brought = { objects: 0, bytes: 0 };
  for (const pack of (await readPackDirectory(gitDir)).packs) {
    if (known.get(pack.name) === pack.bytes) continue;
    const { objects, bytes } = await sizeOf(gitDir, pack.name);
    brought.objects += objects;
    brought.bytes += bytes;
  }
  return brought;
}

/** By name and size: packs are named after their checksums, and one that is as long as it should be is the same one. */
function missingPacks(listing: PackListing, own: PackDirectory): WantedPack[] {
  const sizes = new Map(own.packs.map((pack) => [pack.name, pack.bytes]));
  return listing.packs.filter((pack) => sizes.get(pack.name) !== pack.bytes);
}

/** Bytes that would come although their objects may be here: never more than the packs here that the source doesn't have. */
function wasteOf(theirs: ReadonlySet<string>, own: PackDirectory, missing: readonly WantedPack[]): number {
  const others = own.packs.filter((pack) => !theirs.has(pack.name));
  return Math.min(sum(others), sum(missing));
}

function isLittle(missing: readonly WantedPack[]): boolean {
  return missing.length <= COPIED_UNASKED.packs && sum(missing) <= COPIED_UNASKED.bytes;
}

function copyingIsCheaper(missing: readonly WantedPack[], wasteBytes: number): boolean {
  const bytes = sum(missing);
  const copyMs = missing.length * COPY_MS_PER_PACK + bytes / COPY_BYTES_PER_MS;
  return wasteBytes <= MAX_WASTE_BYTES && copyMs < FETCH_MS + bytes / FETCH_BYTES_PER_MS;
}

function sum(packs: readonly { bytes: number }[]): number {
  return packs.reduce((bytes, pack) => bytes + pack.bytes, 0);
}
