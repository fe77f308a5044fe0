import { existsSync } from 'node:fs';
import { readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { damagedRoot, incomingDirectory, syncPath } from './layout.ts';

// Beside `<id>.git` there may be, in the same directory:
//   <id>.git.rebuilding-<job>     what a repair builds; goes on after a restart
//   <id>.git.replaced-<job>[-n]   what a rebuilt one took the place of; kept until the controller has admitted that one
//   <id>.git.removed-<n>          on its way out

/** A repair nobody has gone on with for so long won't be any more: its job is done or its repository gone. */
const ABANDONED_MS = 7 * 86_400_000;

/** Where a rebuild of this job builds; what an earlier job left half built is taken over. */
export async function rebuildingDirectory(gitDir: string, job: string): Promise<string> {
  const mine = `${gitDir}.rebuilding-${job}`;
  const [other] = existsSync(mine) ? [] : await besides(gitDir, 'rebuilding');
  if (other !== undefined) await rename(other, mine);
  return mine;
}

/** Says that somebody goes on with it, so that it isn't taken for abandoned. */
export async function touch(directory: string): Promise<void> {
  const now = new Date();
  await utimes(directory, now, now);
}

/** A free name for what this job replaces. */
export function replacedDirectory(gitDir: string, job: string): string {
  for (let n = 1; ; n++) {
    const path = `${gitDir}.replaced-${job}${n === 1 ? '' : `-${n}`}`;
    if (!existsSync(path)) return path;
  }
}

/**
 * Puts a rebuilt replica in the place of the old one. Both are whole and on the disk; between the two renames neither has
 * the place, which `undoHalfSwap` mends.
 * @param between called between the renames
 */
export async function swap(gitDir: string, rebuilt: string, job: string, between: () => Promise<void>): Promise<void> {
  if (existsSync(gitDir)) await rename(gitDir, replacedDirectory(gitDir, job));
  await between();
  await rename(rebuilt, gitDir);
  await syncPath(dirname(gitDir));
}

/**
 * After a crash between the two renames of a swap: the old replica gets its place back, and the repair goes on with what it
 * had built. Only a swap leaves both of one job and nothing in their place.
 */
export async function undoHalfSwap(gitDir: string): Promise<void> {
  if (existsSync(gitDir)) return;
  for (const rebuilding of await besides(gitDir, 'rebuilding')) {
    const job = rebuilding.slice(`${gitDir}.rebuilding-`.length);
    const replaced = (await besides(gitDir, 'replaced')).filter((path) => path === `${gitDir}.replaced-${job}` || path.startsWith(`${gitDir}.replaced-${job}-`));
    const newest = replaced.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).at(-1);
    if (newest === undefined) continue;
    await rename(newest, gitDir);
    await syncPath(dirname(gitDir));
    return;
  }
}

/**
 * Removes what repairs of a replica have set aside or left half done, in it and beside it.
 * @param job only what this job replaced; what is half done belongs to nobody else by then
 */
export async function removeSetAside(gitDir: string, job?: string): Promise<void> {
  const ofJob = (path: string) => job === undefined || path === `${gitDir}.replaced-${job}` || path.startsWith(`${gitDir}.replaced-${job}-`);
  const doomed = [...(await besides(gitDir, 'replaced')).filter(ofJob), ...await besides(gitDir, 'rebuilding')];
  for (const [i, path] of doomed.entries()) {
    // Under its new name a crash in the middle leaves nothing that looks whole.
    const away = `${gitDir}.removed-${process.hrtime.bigint()}-${i}`;
    await rename(path, away);
    await rm(away, { recursive: true, force: true });
  }
  await rm(incomingDirectory(gitDir), { recursive: true, force: true });
  await rm(job === undefined ? damagedRoot(gitDir) : join(damagedRoot(gitDir), job), { recursive: true, force: true });
}

/** Removes what is half built and abandoned; `nowMs` is the time of day. */
export async function removeAbandoned(directory: string, nowMs: number): Promise<void> {
  for (const name of await namesIn(directory)) {
    if (!name.includes('.git.rebuilding-')) continue;
    const { mtimeMs } = await stat(join(directory, name));
    if (mtimeMs < nowMs - ABANDONED_MS) await rm(join(directory, name), { recursive: true, force: true });
  }
}

/** Everything of this kind beside a replica. */
export async function besides(gitDir: string, kind: 'rebuilding' | 'replaced'): Promise<string[]> {
  const names = await namesIn(dirname(gitDir));
  return names.filter((name) => name.startsWith(`${basename(gitDir)}.${kind}-`)).map((name) => join(dirname(gitDir), name));
}

async function namesIn(directory: string): Promise<string[]> {
  try {
    return await readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}
