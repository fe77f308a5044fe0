import { existsSync } from 'node:fs';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import Type, { type Static } from 'typebox';
import { Check } from 'typebox/value';
import { oidLength, type ObjectFormat } from '@trivet/proto/object-format.ts';
import { PACK_NAME, packDirectory } from '../git/pack-directory.ts';
import { PackIds } from '../git/pack-ids.ts';
import { readTextIfThere, replaceDurably } from '../repository/durable-file.ts';
import { maintenanceDirectory, syncPath } from '../repository/layout.ts';

const PackName = Type.String({ pattern: PACK_NAME.source });

/** Packs that may go, because all their objects are in one that has come. */
const Retired = Type.Object({ made: PackName, gone: Type.Array(PackName) }, { additionalProperties: false });
export type Retired = Static<typeof Retired>;

const FILE = 'retired.json';

/** Writes down, durably, which packs may go: what is half removed when the node dies is removed whole at its next start. */
export async function writeRetired(gitDir: string, retired: Retired): Promise<void> {
  const directory = maintenanceDirectory(gitDir);
  await mkdir(directory, { recursive: true });
  await replaceDurably(join(directory, FILE), JSON.stringify(retired));
}

/** Undefined when nothing is to go, or nobody can read what: then all stays, and is combined once more. */
export async function readRetired(gitDir: string): Promise<Retired | undefined> {
  const text = await readTextIfThere(join(maintenanceDirectory(gitDir), FILE));
  if (text === undefined) return undefined;
  try {
    const retired: unknown = JSON.parse(text);
    return Check(Retired, retired) ? retired : undefined;
  } catch {
    return undefined;
  }
}

/** Nothing is to go any more. */
export async function forgetRetired(gitDir: string): Promise<void> {
  await rm(join(maintenanceDirectory(gitDir), FILE), { force: true });
}

/**
 * Whether every object of the packs that may go is in the one that has come. A pack whose index is gone was proven before
 * that went.
 * @throws UnreadableIndex; what the file system throws, the signal's reason
 */
export async function isProven(gitDir: string, { made, gone }: Retired, signal: AbortSignal): Promise<boolean> {
  const format = formatOf(made);
  const index = (name: string) => join(packDirectory(gitDir), `${name}.idx`);
  if (!existsSync(join(packDirectory(gitDir), `${made}.pack`)) || !existsSync(index(made))) return false;
  const all = await PackIds.open(index(made), format);
  try {
    for (const name of gone) {
      if (name === made) return false;
      if (!existsSync(index(name))) continue;
      const ids = await PackIds.open(index(name), format);
      try {
        if (!await all.includes(ids, signal)) return false;
      } finally {
        await ids.close();
      }
    }
    return true;
  } finally {
    await all.close();
  }
}

/**
 * Takes the packs away, durably, and what was noted of them.
 * @param between called when the indexes are gone and the packs aren't
 */
export async function removeRetired(gitDir: string, { gone }: Retired, between: () => Promise<void> = async () => {}): Promise<void> {
  const directory = packDirectory(gitDir);
  const doomed = new Set(gone);
  const files = (await readdir(directory)).filter((file) => doomed.has(file.slice(0, file.lastIndexOf('.'))));
  // The index leaves first, so that git never sees one whose pack is gone.
  for (const file of files) if (file.endsWith('.idx')) await rm(join(directory, file), { force: true });
  await between();
  for (const file of files) await rm(join(directory, file), { force: true });
  await syncPath(directory);
  await forgetRetired(gitDir);
}

/** A pack is named after a hash of the repository's format. */
function formatOf(name: string): ObjectFormat {
  return name.length === 'pack-'.length + oidLength('sha1') ? 'sha1' : 'sha256';
}
