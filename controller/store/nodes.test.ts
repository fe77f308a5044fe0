import { newId } from '@trivet/proto/id.ts';
import { verifyCluster } from './clusters.ts';
import { Nodes } from './nodes.ts';
import { seed, storeTest } from './stores-under-test.ts';

storeTest('a node that registers anew keeps its state and when it joined, and tells where it stands now', async (t, store) => {
  const nodes = new Nodes(await store.open());
  await nodes.register({ id: 'n1', url: 'http://one', boot: newId(), zone: 'a', version: '1.0', gitVersion: '2.50' });
  await nodes.setState('n1', 'draining');
  const before = (await nodes.get('n1'))!;
  await nodes.register({ id: 'n1', url: 'http://two', boot: newId(), zone: 'b', version: '1.1', gitVersion: '2.51' });
  t.like(await nodes.get('n1'), {
    url: 'http://two', state: 'draining', zone: 'b', version: '1.1', gitVersion: '2.51', joinedAt: before.joinedAt, stateChangedAt: before.stateChangedAt,
  });
});

storeTest('what heartbeats said is kept, also of a clock that is years off', async (t, store) => {
  const nodes = new Nodes(await store.open());
  await nodes.register({ id: 'n1', url: 'http://one', boot: newId() });
  await nodes.describe([{ id: 'n1', diskTotalBytes: 2 ** 45, diskFreeBytes: 2 ** 44, loadAverage: 1.5, clockSkewMs: 3e11 }]);
  t.like(await nodes.get('n1'), { diskTotalBytes: 2 ** 45, diskFreeBytes: 2 ** 44, loadAverage: 1.5, clockSkewMs: 2 ** 31 - 1 });
});

storeTest('silence is counted from the last heartbeat, or from when a node joined', async (t, store) => {
  const db = await store.open();
  const nodes = new Nodes(db);
  for (const id of ['n1', 'n2']) await nodes.register({ id, url: 'http://one', boot: newId() });
  await db.sql.run("UPDATE nodes SET joined_at = ?", [new Date(Date.now() - 3_600_000)]);
  await nodes.heard(['n1']);
  const silent = await nodes.silentMs();
  t.true(silent.get('n1')! < 600_000);
  t.true(silent.get('n2')! > 3_000_000);
});

storeTest('a node with replicas is not removed; a state is refused to one that never registered', async (t, store) => {
  const db = await store.open();
  const repository = await seed(db);
  const nodes = new Nodes(db);
  t.false(await nodes.remove('n1'));
  t.deepEqual(await nodes.replicaCounts(), new Map(['n1', 'n2', 'n3'].map((id) => [id, { current: 1 }])));
  await db.sql.run("DELETE FROM replicas WHERE repository_id = ? AND node_id = 'n1'", [repository.id]);
  t.true(await nodes.remove('n1'));
  t.is((await nodes.get('n1'))!.state, 'removed');
  await t.throwsAsync(nodes.setState('nobody', 'draining'), { code: 'node_not_found' });
  t.is(await verifyCluster(db.sql, 'a token'), undefined, 'no cluster has this database yet');
});
