import test from 'ava';
import { Cluster, expectEqualReplicas, expectNothingLeft } from './cluster.ts';

test('a push arrives on three equal replicas', async (t) => {
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  await cluster.create('test');
  const work = await cluster.workTree();
  const tip = await work.commit('first');
  await work.git('push', cluster.gitUrl('test'), 'main');
  const refs = await expectEqualReplicas(cluster, 'test');
  t.deepEqual([...refs], [['refs/heads/main', tip]]);
  await expectNothingLeft(cluster);
});
