import { readdir, rm, rmdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Loose objects put into one pack at a time. */
const MAX_OBJECTS = 50_000;

/** Ids of objects that lie outside packs, `max` at most. */
export async function looseObjects(gitDir: string, max = MAX_OBJECTS): Promise<string[]> {
  const oids: string[] = [];
  for (const first of await fanOut(gitDir)) {
    for (const rest of await readdir(join(gitDir, 'objects', first))) {
      if (/^([0-9a-f]{38}|[0-9a-f]{62})$/.test(rest)) oids.push(`${first}${rest}`);
      if (oids.length === max) return oids;
    }
  }
  return oids;
}

/** Takes loose objects away that are in a pack now, and the directories that they leave empty. */
export async function removeLoose(gitDir: string, oids: readonly string[]): Promise<void> {
  const objects = join(gitDir, 'objects');
  for (const oid of oids) await rm(join(objects, oid.slice(0, 2), oid.slice(2)), { force: true });
  // One that isn't empty stays.
  for (const first of await fanOut(gitDir)) await rmdir(join(objects, first)).catch(() => {});
}

async function fanOut(gitDir: string): Promise<string[]> {
  return (await readdir(join(gitDir, 'objects'))).filter((name) => /^[0-9a-f]{2}$/.test(name));
}
