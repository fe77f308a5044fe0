import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';

/** Something that takes long to build and is kept from one bench to the next. */
export interface Cached<T> {
  /** A directory that outlives the bench. */
  cache: string;
  /** Of what is built; older versions of it are thrown away. */
  name: string;
  /** Files of `bench/repositories/` whose text is the generator's version. */
  sources: readonly string[];
  /** A directory to build in, on the same file system; it is made, and moved into the cache when complete. */
  work: string;
  build(work: string): Promise<void>;
  /** Throws when something in the directory is missing: temporary directories are tidied by others. */
  read(directory: string): Promise<T>;
}

/** What this version of the generator built before, or builds now. */
export async function cached<T>({ cache, name, sources, work, build, read }: Cached<T>): Promise<T> {
  const hash = createHash('sha256');
  for (const source of sources) hash.update(await readFile(join(import.meta.dirname, source)));
  const directory = join(cache, `${name}-${hash.digest('hex').slice(0, 12)}`);
  const built = await read(directory).catch(() => undefined);
  if (built !== undefined) return built;
  await mkdir(work, { recursive: true });
  await build(work);
  await mkdir(cache, { recursive: true });
  for (const entry of await readdir(cache)) {
    if (entry.startsWith(`${name}-`)) await rm(join(cache, entry), { recursive: true, force: true });
  }
  await rename(work, directory);
  return read(directory);
}
