import { writeFile } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import anyTest, { type TestFn } from 'ava';
import { PUSH_OUTCOMES, TRANSACTION_PHASES } from '../../controller/metrics.ts';
import { Cluster, isRunning, PATIENCE_MS, until } from '../cluster.ts';
import { mariadbHere, startMariaDb } from '../mariadb.ts';
import { parseMetrics, type Family } from './prometheus-text.ts';

const test = anyTest as TestFn<{ cluster: Cluster }>;

test.before(async (t) => { t.context = { cluster: await Cluster.start() }; });
test.after.always(async (t) => { await t.context.cluster.stop(); });

test.serial('nodes are a bare array with id, URL and state', async (t) => {
  const { cluster } = t.context;
  type NodeView = { id: string; url: string; state: string; diskFreeBytes: number | null; diskTotalBytes: number | null };
  let nodes: NodeView[] = [];
  // What a node says of its disk comes with its first heartbeat.
  await until(async () => {
    nodes = await (await fetch(`${cluster.url}/api/nodes`)).json() as NodeView[];
    return nodes.every((node) => node.diskFreeBytes !== null);
  }, PATIENCE_MS, () => `no heartbeat: ${JSON.stringify(nodes)}`);
  t.deepEqual(nodes.map(({ id, url, state }) => ({ id, url, state })).sort((a, b) => a.id.localeCompare(b.id)),
    cluster.nodeNames().map((id) => ({ id, url: cluster.partUrl(id), state: 'active' })));
  for (const node of nodes) {
    t.like(node, { trouble: null });
    t.true(node.diskFreeBytes! > 0 && node.diskFreeBytes! <= node.diskTotalBytes!);
  }
});

test.serial('every part says that it runs and that it serves', async (t) => {
  const { cluster } = t.context;
  for (const part of ['controller', ...cluster.nodeNames()]) {
    const health = await fetch(`${cluster.partUrl(part)}/healthz`);
    t.is(health.status, 200);
    t.deepEqual(await health.json(), { status: 'ok' });
    t.is((await fetch(`${cluster.partUrl(part)}/readyz`)).status, 200);
  }
  t.deepEqual(await (await fetch(`${cluster.url}/readyz`)).json(), { status: 'ok', store: true, nodes: 3 });
});

/** The metrics that must be there before anything has happened. */
const CONTROLLER_METRICS: Record<string, string> = {
  trivet_pushes_total: 'counter', trivet_push_seconds: 'histogram', trivet_acknowledged_pushes_total: 'counter', trivet_transaction_phase_seconds: 'histogram',
  trivet_votes_lost_total: 'counter', trivet_batches_total: 'counter', trivet_batch_transactions: 'histogram', trivet_reads_total: 'counter', trivet_repairs_total: 'counter',
  trivet_repair_bytes_total: 'counter', trivet_repair_objects_total: 'counter', trivet_repair_seconds: 'histogram', trivet_repair_jobs: 'gauge', trivet_replicas: 'gauge',
  trivet_verifications_total: 'counter', trivet_verification_age_seconds: 'gauge', trivet_findings_total: 'counter', trivet_findings_open: 'gauge',
  trivet_repositories_at_risk: 'gauge', trivet_data_losses_total: 'counter', trivet_imports_total: 'counter', trivet_controllers: 'gauge',
  trivet_settled_total: 'counter', trivet_node_healthy: 'gauge', trivet_node_silences_total: 'counter', trivet_node_clock_skew_seconds: 'gauge',
  trivet_placement_steps_total: 'counter', trivet_repositories_unplaced: 'gauge', trivet_surplus_copies_removed_total: 'counter', trivet_pushes_voting: 'gauge', trivet_turns_waiting: 'gauge',
};
const NODE_METRICS: Record<string, string> = {
  trivet_node_phase_seconds: 'histogram', trivet_node_reads_total: 'counter', trivet_node_in_doubt_settled_total: 'counter', trivet_node_repair_rounds_total: 'counter',
  trivet_node_maintenances_total: 'counter', trivet_node_maintenance_step_seconds: 'histogram', trivet_node_maintained_packs_total: 'counter',
  trivet_node_ready: 'gauge', trivet_node_git_processes: 'gauge', trivet_node_promises: 'gauge',
  trivet_node_repair_objects_total: 'counter', trivet_node_repair_bytes_total: 'counter', trivet_node_verifications_total: 'counter',
};

for (const part of ['controller', 'node1']) {
  test.serial(`${part}: metrics are valid, and all of Trivet's are there from the start with zeros`, async (t) => {
    const response = await fetch(`${t.context.cluster.partUrl(part)}/metrics`);
    t.regex(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
    const families = parseMetrics(await response.text());
    const expected = part === 'controller' ? CONTROLLER_METRICS : NODE_METRICS;
    for (const [name, type] of Object.entries(expected)) {
      const family = families.get(name);
      t.is(family?.type, type, name);
      t.not(family?.help, '', name);
      t.true((family?.samples.length ?? 0) > 0, `${name} has a series`);
      if (type !== 'gauge') for (const sample of family!.samples) t.is(sample.value, 0, `${name} ${JSON.stringify(sample.labels)}`);
    }
    t.deepEqual([...families.keys()].filter((name) => name.startsWith('trivet_') && !(name in expected)), [], 'a metric that this test does not know');
    t.true(families.has('process_resident_memory_bytes'));
  });
}

test.serial('every outcome and phase has its series before the first push', async (t) => {
  const families = parseMetrics(await t.context.cluster.metrics('controller'));
  t.deepEqual(labels(families, 'trivet_pushes_total', 'outcome'), [...PUSH_OUTCOMES].sort());
  t.deepEqual(labels(families, 'trivet_transaction_phase_seconds', 'phase'), [...TRANSACTION_PHASES].sort());
  t.deepEqual(labels(families, 'trivet_reads_total', 'node'), t.context.cluster.nodeNames());
  t.deepEqual(labels(families, 'trivet_node_healthy', 'node'), t.context.cluster.nodeNames());
});

test.serial('promtool has nothing to say against the metrics', async (t) => {
  const { cluster } = t.context;
  if (spawnSync('promtool', ['--version']).status !== 0) {
    t.pass('promtool is not installed');
    return;
  }
  for (const part of ['controller', 'node1']) {
    const path = `${cluster.directory}/${part}.metrics`;
    await writeFile(path, await cluster.metrics(part));
    const { status, stdout, stderr } = spawnSync('sh', ['-c', `promtool check metrics < ${path}`], { encoding: 'utf8' });
    const ours = `${stdout}${stderr}`.split('\n').filter((line) => line.startsWith('trivet_'));
    t.deepEqual(ours, []);
    t.true(status === 0 || status === 3, `${stdout}${stderr}`);
  }
});

test.serial('pushes and fetches are counted', async (t) => {
  const { cluster } = t.context;
  await cluster.create('counted');
  const work = await cluster.workTree();
  await work.commit('first');
  await work.git('push', '-q', cluster.gitUrl('counted'), 'main');
  await work.git('ls-remote', cluster.gitUrl('counted'));
  const families = parseMetrics(await cluster.metrics('controller'));
  t.is(sum(families, 'trivet_pushes_total', { outcome: 'committed' }), 1);
  t.is(sum(families, 'trivet_acknowledged_pushes_total', {}), 1);
  t.true(sum(families, 'trivet_reads_total', { outcome: 'ok' }) >= 2);
  for (const phase of TRANSACTION_PHASES) {
    t.is(families.get('trivet_transaction_phase_seconds')!.samples.find(({ name, labels: own }) => name.endsWith('_count') && own['phase'] === phase)?.value, 1, phase);
  }
});

test.serial('without a node that can be used the controller is not ready, and is again when one is back', async (t) => {
  const { cluster } = t.context;
  const ready = async () => (await fetch(`${cluster.url}/readyz`)).status;
  for (const node of cluster.nodeNames()) await cluster.signal(node, 'SIGKILL');
  await until(async () => await ready() === 503, PATIENCE_MS, () => 'still ready');
  t.like(await (await fetch(`${cluster.url}/readyz`)).json(), { status: 'not ready', store: true, nodes: 0 });
  t.is((await fetch(`${cluster.url}/healthz`)).status, 200);
  const nodes = await (await fetch(`${cluster.url}/api/nodes`)).json() as { state: string }[];
  t.true(nodes.every(({ state }) => state === 'unreachable'));
  t.is((await fetch(`${cluster.url}/api/repos/none-there`, { method: 'POST' })).status, 503);
  t.is((await fetch(`${cluster.url}/api/repos/none-there`)).status, 404);
  await cluster.startPart('node1');
  await until(async () => await ready() === 200, PATIENCE_MS, () => 'not ready again');
});

(mariadbHere() ? test.serial : test.serial.skip)('without its store the controller is not ready but says so', async (t) => {
  const database = await startMariaDb();
  t.teardown(() => database.stop());
  const cluster = await Cluster.start({ nodes: 1, store: database.url });
  t.teardown(() => cluster.stop());
  t.is((await fetch(`${cluster.url}/readyz`)).status, 200);
  process.kill(database.pid, 'SIGKILL');
  await until(() => !isRunning(database.pid), PATIENCE_MS, () => 'the database still runs');
  await until(async () => (await fetch(`${cluster.url}/readyz`)).status === 503, PATIENCE_MS, () => 'still ready');
  t.like(await (await fetch(`${cluster.url}/readyz`)).json(), { status: 'not ready', store: false });
  t.is((await fetch(`${cluster.url}/healthz`)).status, 200);
  const list = await fetch(`${cluster.url}/api/repos`);
  t.is(list.status, 503);
  t.like(await list.json(), { code: 'store_unavailable', retry: true });
});

function labels(families: ReadonlyMap<string, Family>, metric: string, label: string): string[] {
  return [...new Set(families.get(metric)!.samples.map((sample) => sample.labels[label] ?? ''))].sort();
}

function sum(families: ReadonlyMap<string, Family>, metric: string, wanted: Record<string, string>): number {
  return families.get(metric)!.samples.filter((sample) => Object.entries(wanted).every(([label, value]) => sample.labels[label] === value))
    .reduce((total, { value }) => total + value, 0);
}
