import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { bareEnvironment } from '../config.ts';
import { Git } from '../git.ts';
import { PushChain } from './push-chain.ts';
import type { PreparedPush } from './push-chains.ts';

test('git takes in what a chain pushes, one after another, and finds nothing wrong with it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-chain-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const git = new Git(bareEnvironment(directory));
  const repository = join(directory, 'repository.git');
  await mkdir(repository);
  await git.run(repository, ['init', '--quiet', '--bare', '--initial-branch=main', '.']);
  const chains = [new PushChain('a'), new PushChain('b')];
  const pushes = [PushChain.base(), ...[1, 2, 3].flatMap(() => chains.map((chain) => chain.next()))];
  for (const push of pushes) await take(git, repository, push);
  await git.run(repository, ['fsck', '--full', '--strict', '--no-dangling']);
  const counts = await Promise.all(chains.map(({ ref }) => git.run(repository, ['rev-list', '--count', ref])));
  t.deepEqual(counts.map(Number), [4, 4], 'the base and three more');
  const changed = (await git.run(repository, ['diff', '--name-only', 'a~1', 'a'])).toString().trim().split('\n');
  t.is(changed.length, 1);
});

test('the same name gives the same pushes, another name others', (t) => {
  const tips = ['a', 'a', 'b'].map((name) => new PushChain(name).next().updates[0]!.new);
  t.is(tips[0], tips[1]);
  t.not(tips[0], tips[2]);
});

/** What a server does with a push, without a server. */
async function take(git: Git, repository: string, { body, updates }: PreparedPush): Promise<void> {
  const pack = body.subarray(body.indexOf('0000PACK') + 4);
  await git.run(repository, ['index-pack', '--stdin', '--strict'], [pack]);
  for (const { ref, old, new: oid } of updates) await git.run(repository, ['update-ref', ref, oid, old]);
}
