import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Git } from '../git.ts';
import { assetHistory } from './asset-history.ts';
import { cached } from './cache.ts';
import { realHistory } from './real-history.ts';
import { describePack, importHistory, packAll, readBuilt, type RealRepository } from './real.ts';

/** Projects with text, each like the repository that is cloned (22 MB), and assets for the rest. */
const SIZES = {
  full: { projects: 4, assetBytes: 915e6 },
  quick: { projects: 1, assetBytes: 78e6 },
} as const;

/**
 * A repository of 1 GB as people have it: the histories of four projects in text (some 33,000 commits, deltified by git)
 * and a branch with images and archives that don't compress. A tenth of it for a quick run. Built once, in two minutes.
 * @param work a directory to build in
 */
export async function buildGigabyte(
  git: Git,
  cache: string,
  work: string,
  size: keyof typeof SIZES,
  progress: (text: string) => void,
): Promise<RealRepository> {
  const { projects, assetBytes } = SIZES[size];
  return cached({
    cache,
    name: `gigabyte-${size}`,
    sources: ['gigabyte.ts', 'asset-history.ts', 'real-history.ts'],
    work,
    async build() {
      progress('building the repository to repair (once; it is kept in the temporary directory)');
      for (let project = 1; project <= projects; project++) {
        await importHistory(git, work, realHistory(`project-${project}`));
      }
      await importHistory(git, work, assetHistory(assetBytes));
      // Looking for deltas between files that have none would take minutes and find nothing.
      const attributes = join(work, 'repository.git', 'info', 'attributes');
      await writeFile(attributes, '*.bin -delta\n');
      await describePack(git, work, await packAll(git, work));
    },
    read: readBuilt,
  });
}

/** What it is made of, in words. */
export function describeGigabyte(repository: RealRepository): string {
  const { packBytes, objects, commits, updates } = repository;
  const number = (value: number) => value.toLocaleString('en');
  return `${(packBytes / 1e6).toFixed(0)} MB in one pack: ${number(objects)} objects, ${number(commits)} commits, ${updates.length} branches and tags; `
    + 'a tenth or less text with deltas, the rest files of 10 KB to 10 MB that do not compress';
}
