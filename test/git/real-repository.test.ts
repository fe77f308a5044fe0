import { WorkTree } from '../cluster.ts';
import { runGit } from '../run-git.ts';
import { expectReplicasEqualTo, feedGit, firstDifference, reachableObjects, refsOf, useCluster } from './fixture.ts';
import { realHistory } from './real-history.ts';

const scenario = useCluster();

scenario('thousands of commit objects, hundreds of branches and tags go in by a mirror push and come out the same, through the controller and from every node', async (t, { cluster, repository, url, directory }) => {
  const source = new WorkTree(await directory());
  await source.git('init', '-q', '--bare', '-b', 'main');
  const imported = await feedGit(source.path, ['fast-import', '--quiet'], realHistory('a real repository'));
  t.is(imported.code, 0, imported.stderr);
  t.true(Number(await source.git('rev-list', '--count', '--all')) >= 3_000);
  t.true(Number(await source.git('rev-list', '--count', '--merges', '--all')) > 100);
  t.is((await refsOf(source.path)).trim().split('\n').length, 502);
  const [refs, objects] = [await refsOf(source.path), await reachableObjects(source.path)];

  await source.git('push', '-q', '--mirror', url);
  t.is((await cluster.show(repository)).generation, 1);
  await expectReplicasEqualTo(t, cluster, repository, source.path);

  const header = `http.extraHeader=Authorization: Bearer ${await cluster.token()}`;
  const { id } = await cluster.show(repository);
  const addresses = [url, ...cluster.nodeNames().map((node) => `${cluster.partUrl(node)}/repositories/${id}`)];
  for (const [i, address] of addresses.entries()) {
    const path = await directory();
    const cloned = await runGit(path, ['-c', `protocol.version=${[2, 0, 1, 2][i]!}`, '-c', header, 'clone', '-q', '--mirror', address, '.']);
    t.is(cloned.code, 0, cloned.stderr);
    t.is(await refsOf(path), refs, address);
    t.is(firstDifference((await runGit(path, ['cat-file', '--batch-check', '--batch-all-objects'])).stdout, objects), undefined, address);
    t.is((await runGit(path, ['symbolic-ref', 'HEAD'])).stdout, 'refs/heads/main\n');
  }
  const stranger = await runGit(await directory(), ['clone', '-q', addresses[1]!, '.']);
  t.not(stranger.code, 0);
});

scenario('the same history goes in branch by branch, with small packs and large ones, and comes out the same', async (t, { cluster, repository, url, directory }) => {
  const source = new WorkTree(await directory());
  await source.git('init', '-q', '--bare', '-b', 'main');
  await feedGit(source.path, ['fast-import', '--quiet'], realHistory('branch by branch'));
  const count = Number(await source.git('rev-list', '--count', '--first-parent', 'main'));
  for (const back of [count - 1, Math.floor(count / 2), 200, 199, 150, 10, 9, 8, 0]) {
    await source.git('push', '-q', url, `main~${back}:refs/heads/main`);
  }
  await source.git('push', '-q', url, 'refs/heads/team-1/*:refs/heads/team-1/*');
  await source.git('push', '-q', '--mirror', url);
  await expectReplicasEqualTo(t, cluster, repository, source.path);
});

scenario('control: a replica that lacks a ref, or has another one, would be noticed', async (t, { cluster, repository, work, url }) => {
  await work.commit('first');
  await work.git('push', '-q', url, 'main');
  await expectReplicasEqualTo(t, cluster, repository, work.path);
  for (const change of [['branch', 'more'], ['commit', '-q', '--allow-empty', '-m', 'second']]) {
    await work.git(...change);
    const attempt = await t.try((attempted) => expectReplicasEqualTo(attempted, cluster, repository, work.path));
    attempt.discard();
    t.false(attempt.passed);
    await work.git('push', '-q', url, '--all');
    await expectReplicasEqualTo(t, cluster, repository, work.path);
  }
  t.is(firstDifference('a\nb', 'a\nc'), 'line 2: b, not c');
});
