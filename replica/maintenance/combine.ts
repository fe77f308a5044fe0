import { renameSync } from 'node:fs';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { packDirectory } from '../git/pack-directory.ts';
import { runGit } from '../git/process.ts';
import { quarantineEnvironment } from '../quarantine/index-pack.ts';
import { maintenanceDirectory, syncPath } from '../repository/layout.ts';

/** What keeps git small beside traffic: one thread, a bounded window, and files that are on the disk when it has ended. */
const CONFIG = [
  'pack.threads=1', 'pack.windowMemory=64m', 'pack.deltaCacheSize=32m', 'core.bigFileThreshold=16m',
  'pack.writeReverseIndex=true', 'core.fsync=pack,pack-metadata', 'core.fsyncMethod=fsync',
].flatMap((setting) => ['-c', setting]);

/** git takes notice of a pack by its index, and must find the rest there already. */
const SUFFIXES_IN_ORDER = ['.pack', '.rev', '.idx'];

/** An object directory beside the store, where packs are made: nothing half made ever lies in the store. */
export function stagingDirectory(gitDir: string): string {
  return join(maintenanceDirectory(gitDir), 'objects');
}

/**
 * Makes one pack of all objects of these, beside the store. git compares every byte that it copies with the checksum in the
 * index, and ends with an error where they differ.
 * @returns the name of the pack, which is on the disk
 * @throws TrivetError git_failed; the signal's reason
 */
export async function combine(gitDir: string, packs: readonly string[], signal: AbortSignal): Promise<string> {
  return packObjects(gitDir, ['--stdin-packs'], packs.map((name) => `${name}.pack\n`).join(''), signal);
}

/** Makes one pack of these objects. Returns and throws as `combine`. */
export async function packLoose(gitDir: string, oids: readonly string[], signal: AbortSignal): Promise<string> {
  return packObjects(gitDir, [], oids.map((oid) => `${oid}\n`).join(''), signal);
}

/** Puts a pack that was made in its place in the store, durably. In the replica's turn: nobody else moves packs then. */
export async function install(gitDir: string, name: string): Promise<void> {
  const from = join(stagingDirectory(gitDir), 'pack');
  const files = await readdir(from);
  for (const suffix of SUFFIXES_IN_ORDER) {
    const file = `${name}${suffix}`;
    // One of the same name has the same content.
    if (files.includes(file)) renameSync(join(from, file), join(packDirectory(gitDir), file));
  }
  await syncPath(packDirectory(gitDir));
}

async function packObjects(gitDir: string, args: readonly string[], input: string, signal: AbortSignal): Promise<string> {
  const staging = stagingDirectory(gitDir);
  await mkdir(join(staging, 'pack'), { recursive: true });
  const output = await runGit([...CONFIG, 'pack-objects', ...args, '--delta-base-offset', '--quiet', join(staging, 'pack', 'pack')], {
    gitDir, env: quarantineEnvironment(gitDir, staging), signal, priority: 'low', input,
  });
  return `pack-${output.toString('latin1').trim()}`;
}
