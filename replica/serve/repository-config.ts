import { randomBytes } from 'node:crypto';
import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { TrivetError } from '@trivet/proto/errors.ts';
import { isRefName } from '@trivet/proto/ref-name.ts';
import type { ObjectFormat } from '@trivet/proto/object-format.ts';
import { readTextIfThere, replaceDurably, writeDurably } from '../repository/durable-file.ts';
import { syncPath } from '../repository/layout.ts';

/**
 * The configuration of every bare repository on a node. Git reads neither the system's nor the user's configuration
 * here, so this is all there is; every value is understood by git 2.39 and newer.
 */
export const REPOSITORY_CONFIG: readonly (readonly [key: string, value: string])[] = [
  // Files change only when Trivet says so: maintenance is run by the node, one replica of a repository at a time.
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  ['receive.autogc', 'false'],
  // Partial clones, and the lazy fetches that follow them.
  ['uploadpack.allowFilter', 'true'],
  // A clone over HTTP is several requests, between which refs move: a want advertised a moment ago is served. A lazy
  // fetch asks for any object. What is in a repository can be read by whoever reads the repository.
  ['uploadpack.allowAnySHA1InWant', 'true'],
  // With git 2.39 it breaks shallow fetches over protocol v2.
  ['uploadpack.allowRefInWant', 'false'],
  // Trivet's own refs: neither advertised nor writable, through upload-pack and receive-pack alike.
  ['transfer.hideRefs', 'refs/trivet'],
  // Every object is checked before it is voted for.
  ['transfer.fsckObjects', 'true'],
  // Keep packs as packs: one fsync instead of one for each object, and a clone copies packed objects as they are.
  ['transfer.unpackLimit', '1'],
  // By default git fsyncs packs only. What a node promises, loose objects and refs included, must be on its disk.
  ['core.fsync', 'committed'],
  // Nobody reads a reflog on a node, and each would be one more file to write for each ref update.
  ['core.logAllRefUpdates', 'false'],
  // Larger blobs are streamed instead of held in memory as a whole, and never searched for deltas (default 512 MiB).
  ['core.bigFileThreshold', '16m'],
  // Bounds on the memory of one pack-objects: the delta window of each thread, and the deltas kept until written.
  ['pack.windowMemory', '64m'],
  ['pack.deltaCacheSize', '64m'],
  // Clones run side by side; one clone doesn't get to use every core for its delta search.
  ['pack.threads', '1'],
  // Written once beside the pack (default only from git 2.41) instead of sorted in memory for every clone.
  ['pack.writeReverseIndex', 'true'],
];

/**
 * Makes a bare repository as `git init --bare` would, without starting git. It is built beside its place, fsynced and
 * renamed: after a crash it is there as a whole or not at all (a `.creating-` directory may be left over beside it).
 * @param head what HEAD points at, such as `refs/heads/main`
 * @throws TrivetError `repository_exists`; `bad_request` when `head` can't be a ref
 */
export async function createBareRepository(gitDir: string, objectFormat: ObjectFormat, head: string): Promise<void> {
  if (!isRefName(head)) throw new TrivetError('bad_request', { head });
  const parent = dirname(gitDir);
  const unfinished = join(parent, `.creating-${randomBytes(8).toString('hex')}`);
  try {
    for (const directory of DIRECTORIES) await mkdir(join(unfinished, directory));
    await Promise.all([
      writeDurably(join(unfinished, 'HEAD'), `ref: ${head}\n`),
      writeDurably(join(unfinished, 'config'), configText(objectFormat)),
    ]);
    await Promise.all(DIRECTORIES.map((directory) => syncPath(join(unfinished, directory))));
    await rename(unfinished, gitDir);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    if (isSystemError(error, 'ENOTEMPTY') || isSystemError(error, 'EEXIST') || isSystemError(error, 'ENOTDIR')) {
      throw new TrivetError('repository_exists', { gitDir }, { cause: error });
    }
    throw error;
  }
  await syncPath(parent);
}

/**
 * Puts back what git needs to take a directory for a repository and somebody has taken away or changed: directories, the
 * configuration, HEAD. Refs and objects stay as they are.
 * @param head what HEAD points at when there is none
 * @throws TrivetError disk_failure
 */
export async function restoreLayout(gitDir: string, objectFormat: ObjectFormat, head: string): Promise<void> {
  const wanted = configText(objectFormat);
  try {
    for (const directory of DIRECTORIES) await mkdir(join(gitDir, directory), { recursive: true });
    if (await readTextIfThere(join(gitDir, 'config')) !== wanted) await replaceDurably(join(gitDir, 'config'), wanted);
    if (await readTextIfThere(join(gitDir, 'HEAD')) === undefined) await replaceDurably(join(gitDir, 'HEAD'), `ref: ${head}\n`);
  } catch (cause) {
    throw new TrivetError('disk_failure', { operation: 'restore the layout of a repository' }, { cause });
  }
}

const DIRECTORIES = ['', 'objects', 'objects/info', 'objects/pack', 'refs', 'refs/heads', 'refs/tags'];

function configText(objectFormat: ObjectFormat): string {
  const settings: (readonly [key: string, value: string])[] = [
    ['core.repositoryformatversion', objectFormat === 'sha1' ? '0' : '1'],
    ['core.filemode', 'true'],
    ['core.bare', 'true'],
    ...(objectFormat === 'sha1' ? [] : [['extensions.objectformat', objectFormat] as const]),
    ...REPOSITORY_CONFIG,
  ];
  return settings.map(([key, value]) => {
    const [section, name] = key.split('.');
    return `[${section}]\n\t${name} = ${value}\n`;
  }).join('');
}

function isSystemError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code;
}
