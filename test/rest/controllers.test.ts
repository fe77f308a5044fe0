import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join, resolve } from 'node:path';
import anyTest, { type ExecutionContext, type TestFn } from 'ava';
import { commandsOf } from '../cli/commands.ts';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { freePort } from '../mariadb.ts';
import { parseMetrics } from './prometheus-text.ts';

const test = anyTest as TestFn<{ cluster: Cluster }>;
const PROGRAM = resolve(import.meta.dirname, '../../controller/main.ts');

test.before(async (t) => { t.context = { cluster: await Cluster.start({ nodes: 1 }) }; });
test.after.always(async (t) => { await t.context.cluster.stop(); });

/** Another controller on the same database. */
async function another(t: ExecutionContext<{ cluster: Cluster }>, environment: Record<string, string>) {
  const { cluster } = t.context;
  const port = await freePort();
  const child = spawn(process.execPath, [PROGRAM], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      PATH: process.env['PATH'], NODE_ENV: 'test', TRIVET_STORE: `file:${join(cluster.directory, 'data', 'trivet.db')}`, TRIVET_PORT: String(port),
      TRIVET_TOKEN: await cluster.token(), TRIVET_CONTROLLER_NAME: 'another', TRIVET_STOP_DELAY_MS: '0', ...environment,
    },
  });
  t.teardown(async () => {
    if (child.exitCode === null) child.kill('SIGKILL');
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => { output += chunk.toString(); });
  return { child, ended: once(child, 'close'), output: () => output };
}

test.serial('a controller of another cluster refuses to start on this one\'s database, and says why', async (t) => {
  const { ended, output } = await another(t, { TRIVET_TOKEN: 'a-token-of-another-cluster' });
  t.is((await ended)[0], 1);
  t.regex(output(), /the database belongs to another cluster.*\(wrong_cluster\).*"cluster":"[0-9a-f]{32}"/);
  t.is((await t.context.cluster.create('still-fine')).replicas.length, 1);
});

test.serial('a second controller of one name refuses to start while the first one runs', async (t) => {
  const { ended, output } = await another(t, { TRIVET_CONTROLLER_NAME: 'controller' });
  t.is((await ended)[0], 1);
  t.regex(output(), /another controller of this name is running \(controller_name_in_use\) \{"name":"controller"/);
});

test.serial('a controller whose settings are not those of the others is told, listed and counted', async (t) => {
  const { cluster } = t.context;
  const { trivet, document } = commandsOf(() => cluster.url);
  t.is((await trivet('controllers', 'list')).code, 0);
  const { child, ended, output } = await another(t, { TRIVET_VOTE_GRACE_MS: '1234', TRIVET_REPLICATION_FACTOR: '1' });
  await until(() => output().includes('is ready') || child.exitCode !== null, PATIENCE_MS, () => `not ready: ${output()}`);
  t.regex(output(), /another controller was told something else/);
  const listed = await document(t, 1, 'controllers', 'list');
  t.deepEqual(listed.items.map(({ name, running, differences }: { name: string; running: boolean; differences: object[] }) => ({ name, running, differences })), [
    { name: 'another', running: true, differences: [] },
    { name: 'controller', running: true, differences: [{ setting: 'TRIVET_VOTE_GRACE_MS', value: 1000, newest: 1234 }] },
  ]);
  t.regex((await trivet('controllers', 'list')).stdout, /TRIVET_VOTE_GRACE_MS 1000, not 1234/);
  const differing = async () => parseMetrics(await cluster.metrics('controller')).get('trivet_controllers')!.samples.find(({ labels }) => labels['settings'] === 'differing')!.value;
  await until(async () => await differing() === 1, PATIENCE_MS, () => 'the metric does not say so');
  child.kill('SIGTERM');
  await ended;
  t.deepEqual((await document(t, 0, 'controllers', 'list')).items.map(({ name }: { name: string }) => name), ['controller'], 'who ends in good order takes its name along');
});

test.serial('a controller that was killed is back under its name at once', async (t) => {
  const { cluster } = t.context;
  await cluster.signal('controller', 'SIGKILL');
  await cluster.startPart('controller');
  t.is((await fetch(`${cluster.url}/readyz`)).status, 200);
});
