import { useCluster } from './fixture.ts';

const scenario = useCluster();
/** Longer than the pause after which a waiting client is told something. */
const LONG_VOTE = 'delay 6000';

// In a file of its own: a failpoint strikes whichever push comes first.
scenario('a push that takes long says what goes on, and with --quiet still says nothing', async (t, { cluster, repository, work, url }) => {
  for (const quiet of [false, true]) {
    const tip = await work.commit(`quiet: ${quiet}`);
    for (const node of cluster.nodeNames()) await cluster.arm(node, 'vote-begin', LONG_VOTE);
    const result = await work.tryGit('push', quiet ? '--quiet' : '--progress', url, 'main');
    t.is(result.code, 0, result.stderr);
    for (const node of cluster.nodeNames()) t.true(cluster.struck(node, 'vote-begin'));
    t.is(/^remote: checking objects on the replicas *$/m.test(result.stderr), !quiet, result.stderr);
    if (quiet) t.is(result.stderr, '');
    t.is((await cluster.show(repository)).generation, quiet ? 2 : 1);
    t.is(await work.git('ls-remote', '--heads', url), `${tip}\trefs/heads/main`);
  }
});
