import anyTest from 'ava';
import { Cluster } from '../cluster.ts';
import { PushedRepository, sample, untilHealthy, untilReplica } from './pushed-repository.ts';

const test = anyTest.serial;
const NEVER_MS = '3600000';
let cluster: Cluster;
anyTest.before(async () => {
  // What a test waits for here can't come from a grace or a deadline that was over.
  cluster = await Cluster.start({
    environment: {
      TRIVET_VOTE_GRACE_MS: NEVER_MS, TRIVET_PREPARE_GRACE_MS: NEVER_MS, TRIVET_COMMIT_GRACE_MS: NEVER_MS, TRIVET_READ_MS: NEVER_MS,
      TRIVET_PREPARE_MS: NEVER_MS, TRIVET_COMMIT_MS: NEVER_MS,
    },
  });
});
anyTest.after.always(() => cluster?.stop());

for (const failpoint of ['vote-begin', 'prepare-begin', 'prepare-promised', 'commit-begin', 'commit-answer']) {
  test(`a push does not wait for the grace of a node that is stopped at ${failpoint}`, async (t) => {
    const repository = await PushedRepository.create(cluster, `stopped-${failpoint}`);
    await untilHealthy(cluster, 'node3', true);
    t.teardown(() => cluster.signal('node3', 'SIGCONT'));
    await cluster.arm('node3', failpoint, 'stop');
    await repository.mustPush();
    t.true(cluster.struck('node3', failpoint));
    // Its repair may have begun, and waits for it.
    t.not(await untilReplica(cluster, repository.name, 'node3', ['outdated', 'repairing', 'current']), 'current');
    await cluster.signal('node3', 'SIGCONT');
    await repository.expectSettledAt();
  });

  // Longer than silence takes to be found, shorter than promises wait for their decision.
  test(`a push waits for a node that is slow at ${failpoint} and says that it is there`, async (t) => {
    const repository = await PushedRepository.create(cluster, `slow-${failpoint}`);
    const copies = () => sample(cluster, 'controller', 'trivet_acknowledged_pushes_total', { copies: '3' });
    const before = await copies();
    await cluster.arm('node3', failpoint, 'delay 700');
    await repository.mustPush();
    t.true(cluster.struck('node3', failpoint));
    t.is(await copies(), before + 1);
    t.is(await untilReplica(cluster, repository.name, 'node3', ['outdated', 'current']), 'current');
    await repository.expectSettledAt();
  });
}

test('a read does not wait for a node that is stopped, whichever it was asked of first', async (t) => {
  const repository = await PushedRepository.create(cluster, 'reads');
  t.teardown(() => cluster.signal('node2', 'SIGCONT'));
  await cluster.signal('node2', 'SIGSTOP');
  const tips = await Promise.all([1, 2, 3, 4, 5, 6].map(() => repository.remoteTip()));
  t.deepEqual(new Set(tips), new Set([repository.acknowledged.at(-1)]));
  await cluster.signal('node2', 'SIGCONT');
  await untilHealthy(cluster, 'node2', true);
  await repository.mustPush();
  await repository.expectSettledAt();
});
