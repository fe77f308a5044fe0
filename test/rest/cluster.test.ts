import test from 'ava';
import { Value } from 'typebox/value';
import { ClusterStatus } from '../../controller/rest/cluster.ts';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';

test('the whole cluster at one glance: as it is, when a node is killed, and when it is back; once and live', async (t) => {
  t.timeout(3 * PATIENCE_MS);
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  await cluster.create('org/one');
  const stream = await listen(`${cluster.url}/api/v1/live`);
  t.teardown(() => stream.stop());

  const glance = async () => {
    const status: unknown = await (await fetch(`${cluster.url}/api/v1/cluster`)).json();
    t.deepEqual([...Value.Errors(ClusterStatus, status)], []);
    return status as ClusterStatus;
  };
  await until(async () => (await glance()).verdict === 'ok', PATIENCE_MS, () => 'it does not become well');
  const healthy = await glance();
  t.is(healthy.repositories, 1);
  t.is(healthy.replicas.current, 3);
  t.deepEqual(healthy.nodes.map(({ id, state }) => [id, state]), [['node1', 'active'], ['node2', 'active'], ['node3', 'active']]);
  await until(() => stream.last('status')?.verdict === 'ok', PATIENCE_MS, () => 'the stream does not tell');

  await cluster.signal('node2', 'SIGKILL');
  await until(() => stream.last('status')?.verdict === 'degraded', PATIENCE_MS, () => 'the stream does not tell that a node is gone');
  const degraded = stream.last('status')!;
  t.true(degraded.problems.some(({ code, node }) => code === 'node_cordoned' && node === 'node2'), JSON.stringify(degraded.problems));
  await until(async () => (await glance()).atRisk.byKind.under_replicated === 1, PATIENCE_MS, () => 'nothing is at risk');
  t.deepEqual((await glance()).atRisk.first.map(({ repository, kind, current, configured }) => [repository, kind, current, configured]), [['org/one', 'under_replicated', 2, 3]]);

  await cluster.startPart('node2');
  await until(() => stream.last('status')?.verdict === 'ok', PATIENCE_MS, () => `not ok again: ${JSON.stringify(stream.last('status')?.problems)}`);
});

test('a controller that stops ends the stream, and does not wait for those who listen', async (t) => {
  t.timeout(3 * PATIENCE_MS);
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  const stream = await listen(`${cluster.url}/api/v1/live`);
  t.teardown(() => stream.stop());
  await until(() => stream.last('status') !== undefined, PATIENCE_MS, () => 'nothing is told');
  await cluster.signal('controller', 'SIGTERM');
  await until(() => cluster.output.includes('controller ended ('), PATIENCE_MS, () => cluster.output);
  // One that waits for its listeners breaks them off when its time is over, and ends with 1.
  t.true(cluster.output.includes('controller ended (exit status 0)'), cluster.output);
  t.true(stream.ended);
});

/** Reads server-sent events until it is stopped. */
async function listen(url: string) {
  const stop = new AbortController();
  const response = await fetch(url, { signal: stop.signal });
  if (response.headers.get('content-type')?.startsWith('text/event-stream') !== true) throw new Error(`not a stream: ${response.status}`);
  const last = new Map<string, ClusterStatus>();
  const state = { ended: false };
  void (async () => {
    let text = '';
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        const messages = (text + chunk).split('\n\n');
        text = messages.pop()!;
        for (const message of messages) {
          const [, name, data] = /^event: (.+)\ndata: (.+)$/m.exec(message) ?? [];
          if (name !== undefined) last.set(name, JSON.parse(data!) as ClusterStatus);
        }
      }
    } catch {
      // Stopped, or broken off: it has ended.
    }
    state.ended = true;
  })();
  return { last: (name: string) => last.get(name), stop: () => stop.abort(), get ended() { return state.ended; } };
}
