import assert from 'node:assert/strict';
import type { Stack } from './stack.ts';

/** Pushes a new commit through the load balancer, clones it back, and gives its id. */
export async function pushed(stack: Stack, repository: string): Promise<string> {
  const tree = await stack.workTree();
  const first = await tree.tryGit('fetch', '-q', stack.gitUrl(repository), 'main');
  if (first.code === 0) await tree.git('reset', '-q', '--hard', 'FETCH_HEAD');
  const commit = await tree.commit(`push ${Date.now()}`);
  await tree.git('push', '-q', stack.gitUrl(repository), 'main');
  assert.equal(await stack.cloned(repository), commit);
  return commit;
}
