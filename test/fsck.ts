import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { runGit } from './run-git.ts';

/** Looks at most at a replica whose packs change all the time. */
const MAX_LOOKS = 20;

/**
 * Checks every object of a replica with stock git. One that opened its packs just before maintenance put others in their
 * place complains of those that went: it is asked again then, and only then.
 * @returns what is wrong; undefined when nothing is
 */
export async function fsck(gitDir: string): Promise<string | undefined> {
  for (let looks = 1; ; looks++) {
    const before = await packsOf(gitDir);
    const { code, stdout, stderr } = await runGit(gitDir, ['fsck', '--full', '--strict', '--no-dangling']);
    if (code === 0) return undefined;
    if (looks === MAX_LOOKS || await packsOf(gitDir) === before) return `${stdout}${stderr}`.trim();
  }
}

async function packsOf(gitDir: string): Promise<string> {
  return (await readdir(join(gitDir, 'objects', 'pack')).catch(() => [])).sort().join('\n');
}
