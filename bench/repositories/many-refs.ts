import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ZERO_OID } from '../client/push.ts';
import type { Git } from '../git.ts';
import { commit, modify, parseMarks } from './fast-import.ts';
import { preparePush } from './push-chains.ts';
import type { PreparedPush } from './push-chains.ts';

const FIRST_SECOND = 1_700_000_000;

/** A first push, then two others that each make many branches at once on top of it. */
export interface ManyRefs {
  base: PreparedPush;
  /** All at one new commit. */
  atOneCommit: PreparedPush;
  /** Each at a new commit of its own. */
  atManyCommits: PreparedPush;
}

/**
 * Prepares pushes of `count` new branches.
 * @param directory made for the work, and removed
 */
export async function buildManyRefs(git: Git, directory: string, count: number): Promise<ManyRefs> {
  await mkdir(directory, { recursive: true });
  try {
    await git.run(directory, ['init', '--quiet', '--bare', '.']);
    const marksPath = join(directory, 'marks');
    await git.run(directory, ['fast-import', '--quiet', `--export-marks=${marksPath}`], history(count));
    const marks = parseMarks(await readFile(marksPath, 'utf8'));
    const base = marks.get(1)!;
    const branches = (prefix: string, oid: (i: number) => string) => Array.from({ length: count }, (_, i) => ({
      ref: `refs/heads/${prefix}/${i}`, old: ZERO_OID, new: oid(i),
    }));
    return {
      base: await preparePush(git, directory, [{ ref: 'refs/heads/main', old: ZERO_OID, new: base }]),
      atOneCommit: await preparePush(git, directory, branches('one', () => marks.get(2)!), [base]),
      // The other push's commits follow the first's, so that no push brings an object another has brought.
      atManyCommits: await preparePush(git, directory, branches('many', (i) => marks.get(3 + i)!), [marks.get(2)!]),
    };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function* history(count: number): Generator<Buffer> {
  for (let mark = 1; mark <= 2 + count; mark++) {
    yield commit({
      ref: 'refs/heads/main',
      mark,
      seconds: FIRST_SECOND + mark,
      message: `commit ${mark}`,
      from: mark === 1 ? undefined : mark - 1,
    });
    yield modify('file', `content ${mark}\n`);
  }
}
