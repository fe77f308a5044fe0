import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { encodeCommands, ZERO_OID } from '../client/push.ts';
import type { RefUpdate } from '../client/push.ts';
import type { Git } from '../git.ts';
import { commit, modify, parseMarks } from './fast-import.ts';
import { Random } from './random.ts';

const BASE_FILES = 50;
const BASE_DIRECTORIES = 5;
const BLOB_BYTES = 400;
const FIRST_SECOND = 1_700_000_000;

/** A push whose bytes are ready to be sent. */
export interface PreparedPush {
  body: Buffer;
  updates: readonly RefUpdate[];
}

/** A repository's first push, and for each client a chain of small pushes that build on it and on each other. */
export interface PushChains {
  base: PreparedPush;
  chains: readonly (readonly PreparedPush[])[];
}

/**
 * Prepares small pushes: one commit that changes one file of 400 bytes in a tree of fifty, each as the thin pack that
 * `git push` would send. The first of a chain makes its branch, every other moves it on.
 * @param directory made for the work, and removed
 */
export async function buildPushChains(
  git: Git,
  directory: string,
  chains: number,
  pushes: number,
): Promise<PushChains> {
  await mkdir(directory, { recursive: true });
  try {
    await git.run(directory, ['init', '--quiet', '--bare', '.']);
    const marksPath = join(directory, 'marks');
    await git.run(directory, ['fast-import', '--quiet', `--export-marks=${marksPath}`], history(chains, pushes));
    const marks = parseMarks(await readFile(marksPath, 'utf8'));
    const oid = (mark: number) => marks.get(mark)!;
    const base = await preparePush(git, directory, [{ ref: 'refs/heads/main', old: ZERO_OID, new: oid(1) }]);
    const prepared = [];
    for (let chain = 0; chain < chains; chain++) {
      const steps: PreparedPush[] = [];
      for (let step = 0; step < pushes; step++) {
        const before = step === 0 ? oid(1) : oid(markOf(chain, step - 1, pushes));
        const update = {
          ref: `refs/heads/client-${chain}`,
          old: step === 0 ? ZERO_OID : before,
          new: oid(markOf(chain, step, pushes)),
        };
        steps.push(await preparePush(git, directory, [update], [before]));
      }
      prepared.push(steps);
    }
    return { base, chains: prepared };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/**
 * The request of a push of these updates from the repository in `directory`.
 * @param have commits the server has already
 */
export async function preparePush(
  git: Git,
  directory: string,
  updates: readonly RefUpdate[],
  have: readonly string[] = [],
): Promise<PreparedPush> {
  const revisions = [...new Set(updates.map((update) => update.new)), ...have.map((oid) => `^${oid}`)];
  const pack = await git.run(
    directory,
    ['pack-objects', '--revs', '--thin', '--stdout', '-q', '--delta-base-offset'],
    `${revisions.join('\n')}\n`,
  );
  return { body: Buffer.concat([encodeCommands(updates), pack]), updates };
}

function markOf(chain: number, step: number, pushes: number): number {
  return 2 + chain * pushes + step;
}

function* history(chains: number, pushes: number): Generator<Buffer> {
  const random = new Random('push chains');
  yield commit({ ref: 'refs/heads/main', mark: 1, seconds: FIRST_SECOND, message: 'base' });
  for (let file = 0; file < BASE_FILES; file++) yield modify(pathOf(file), text(random));
  for (let chain = 0; chain < chains; chain++) {
    for (let step = 0; step < pushes; step++) {
      yield commit({
        ref: `refs/heads/client-${chain}`,
        mark: markOf(chain, step, pushes),
        seconds: FIRST_SECOND + 1 + step,
        message: `change ${step} of client ${chain}`,
        from: step === 0 ? 1 : markOf(chain, step - 1, pushes),
      });
      yield modify(pathOf(chain), text(random));
    }
  }
}

function pathOf(file: number): string {
  return `directory-${file % BASE_DIRECTORIES}/file-${file}`;
}

function text(random: Random): string {
  return random.bytes((BLOB_BYTES * 3) / 4).toString('base64');
}
