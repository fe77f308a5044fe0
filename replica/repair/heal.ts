import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { examinePack, unsoundSideFiles, type ExaminedPack } from '../git/pack-check.ts';
import { packDirectory, readPackDirectory } from '../git/pack-directory.ts';
import { isClosed } from '../git/closure.ts';
import { dropCommitGraph } from '../git/commit-graph.ts';
import { dropMultiPackIndex } from '../git/multi-pack-index.ts';
import { runGit } from '../git/process.ts';
import { damagedRoot, incomingDirectory } from '../repository/layout.ts';
import { restoreLayout } from '../serve/repository-config.ts';
import { broughtSince, copyInto } from './bring.ts';
import { gitFetch } from './git-fetch.ts';
import { install, makeDurable, putAside, putBack, sizeOf } from './install.ts';
import { NOTHING, type Brought, type Round } from './round.ts';
import type { Store } from './store.ts';
import type { WantedPack } from './transfer.ts';

/**
 * Mends a store whose refs are right and whose files are damaged: reads every byte of every pack and index, takes from the
 * source the packs that are missing or damaged here, by name, and makes anew the index of a sound pack. What is replaced
 * stays under `damaged/<job>`.
 *
 * A damaged pack that the source has under no name goes too if everything the refs reach is there without it. If not, it
 * stays in its place: the sound objects in it may be the only ones of their kind.
 *
 * Nothing is proved here: the controller has the replica verified in full afterwards.
 * Packs that this job has found sound before are not read again.
 */
export async function heal(store: Store, round: Round): Promise<Brought> {
  const { gitDir, objectFormat } = store;
  const { signal, job, source, memory } = round;
  const { sound } = memory;
  await restoreLayout(gitDir, objectFormat, store.head());
  // They may be what is damaged, and tell of packs that go here; maintenance makes them anew.
  await dropMultiPackIndex(gitDir);
  await dropCommitGraph(gitDir);
  const before = await readPackDirectory(gitDir);
  const listing = await source.packs();
  const damaged = new Map<string, ExaminedPack>();
  for (const name of new Set([...before.packs.map((pack) => pack.name), ...before.withoutIndex, ...before.withoutPack])) {
    if (sound.has(name)) continue;
    const examined = await examinePack(gitDir, name, objectFormat, signal);
    if (examined.checksum !== undefined && examined.indexSound) sound.add(name);
    else damaged.set(name, examined);
  }
  const sideFiles = await unsoundSideFiles(gitDir, objectFormat, signal);
  if (damaged.size === 0 && sideFiles.length === 0 && !listing.loose && listing.packs.every((pack) => sound.has(pack.name))) {
    return NOTHING;
  }
  const brought = { objects: 0, bytes: 0 };
  try {
    await moveSideFilesAside(gitDir, sideFiles, job);
    const wanted = listing.packs.filter((pack) => !sound.has(pack.name)).map((pack): WantedPack => {
      const havePack = damaged.get(pack.name)?.checksum;
      return havePack === undefined ? pack : { ...pack, havePack };
    });
    await copyInto(store, wanted, round);
    for (const { name, havePack } of wanted) {
      sound.add(name);
      damaged.delete(name);
      if (havePack === undefined) add(brought, await sizeOf(gitDir, name));
    }
    if (listing.loose) add(brought, await fetchAll(store, round));
    await mendIndexes(store, [...damaged.values()].filter((pack) => pack.checksum !== undefined).map((pack) => pack.name), round);
    await dropUnneeded(store, [...damaged.keys()].filter((name) => !sound.has(name)), round);
  } finally {
    memory.doubt();
    store.replaced();
  }
  return brought;
}

/** git believes that what its refs name is there. Here it may not be, so it gets everything, as a clone does. */
async function fetchAll({ gitDir }: Store, { source, progress, signal }: Round): Promise<Brought> {
  const before = await readPackDirectory(gitDir);
  const wanted = new Set((await source.snapshot()).refs.map(([, oid]) => oid));
  if (wanted.size > 0) await gitFetch({ gitDir, source, wanted, all: true, progress, signal });
  return broughtSince(before, gitDir);
}

function add(sum: Brought, more: Brought): void {
  sum.objects += more.objects;
  sum.bytes += more.bytes;
}

/** Makes the indexes of sound packs that the source doesn't have. */
async function mendIndexes(store: Store, names: readonly string[], { signal, job, flush, memory }: Round): Promise<void> {
  const { gitDir } = store;
  await mkdir(incomingDirectory(gitDir), { recursive: true });
  for (const name of names) {
    const index = join(incomingDirectory(gitDir), `${name}.idx`);
    await runGit(['index-pack', '--no-rev-index', '-o', index, join(packDirectory(gitDir), `${name}.pack`)], { gitDir, signal });
    await makeDurable(gitDir, [`${name}.idx`], flush);
    await store.alone(() => install(gitDir, [`${name}.idx`], job));
    memory.sound.add(name);
  }
}

async function dropUnneeded(store: Store, names: readonly string[], { signal, job }: Round): Promise<void> {
  if (names.length === 0) return;
  const { gitDir } = store;
  await store.alone(() => putAside(gitDir, names, job));
  let complete = false;
  try {
    complete = await isClosed(gitDir, store.tips(), [], signal);
  } finally {
    if (!complete) await store.alone(() => putBack(gitDir, names, job));
  }
}

async function moveSideFilesAside(gitDir: string, files: readonly string[], job: string): Promise<void> {
  if (files.length === 0) return;
  const aside = join(damagedRoot(gitDir), job);
  await mkdir(aside, { recursive: true });
  for (const file of files) await rename(join(packDirectory(gitDir), file), join(aside, file));
}
