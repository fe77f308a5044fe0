import anyTest from 'ava';
import { Cluster } from '../cluster.ts';
import { PushedRepository, sample, untilReplica, untilStruck } from './pushed-repository.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // Longer than the push below is held up.
  cluster = await Cluster.start({ environment: { TRIVET_DRAIN_MS: '60000' } });
});
anyTest.after.always(() => cluster?.stop());

test('a replica is admitted once, although a push that voted without it is under way when it comes back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'returns');
  await cluster.signal('node3', 'SIGKILL');
  await repository.mustPush();
  t.is(await untilReplica(cluster, 'returns', 'node3', ['outdated', 'current']), 'outdated');
  const repairs = await sample(cluster, 'controller', 'trivet_repairs_total', { outcome: 'ok' });
  // Time enough for the node to come back and be repaired, were nobody waited for: the push would then outdate it again.
  await cluster.arm('controller', 'vote-end', 'delay 8000');
  const push = repository.mustPush();
  await untilStruck(cluster, 'controller', 'vote-end');
  await cluster.startPart('node3');
  await push;
  await repository.mustPush();
  await repository.expectSettledAt();
  t.is(await sample(cluster, 'controller', 'trivet_repairs_total', { outcome: 'ok' }), repairs + 1);
});
