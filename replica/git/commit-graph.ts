import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { runGit } from './process.ts';

/** Layers that a newer one has taken in stay for so long: a git that has read their list may be about to open them. */
const KEEP_LAYERS = '1.hour.ago';

/**
 * Notes what is reachable from the refs in the commit graph, in a new layer above the old ones where that is cheaper.
 * @throws TrivetError git_failed; the signal's reason
 */
export async function writeCommitGraph(gitDir: string, signal: AbortSignal): Promise<void> {
  const args = ['-c', 'core.fsync=commit-graph', '-c', 'core.fsyncMethod=fsync',
    'commit-graph', 'write', '--split', '--reachable', `--expire-time=${KEEP_LAYERS}`, '--no-progress'];
  // A client may push refs/replace/…: the graph is of what is stored.
  await runGit(args, { gitDir, signal, priority: 'low', env: { GIT_NO_REPLACE_OBJECTS: '1' } });
}

/** Takes it away, with the lock of a git that was killed: the commits say all that it said. */
export async function dropCommitGraph(gitDir: string): Promise<void> {
  const info = join(gitDir, 'objects', 'info');
  await rm(join(info, 'commit-graphs'), { recursive: true, force: true });
  await rm(join(info, 'commit-graph'), { force: true });
  await rm(join(info, 'commit-graph.lock'), { force: true });
}
