import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { Cluster, freePorts, isRunning, until, PATIENCE_MS } from '../cluster.ts';
import { PushedRepository, untilHealthy, untilReplica } from './pushed-repository.ts';

const test = anyTest.serial;

test('a cluster that is stopped leaves no process, and started again on its directory it has everything', async (t) => {
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'kept');
  await repository.mustPush();
  const before = await cluster.show('kept');
  const parts = ['controller', ...cluster.nodeNames()];
  const pids = await Promise.all([...parts, 'trivet'].map((part) => cluster.pid(part)));
  await cluster.stopProcesses();
  t.deepEqual(pids.filter(isRunning), []);
  t.deepEqual(await readdir(join(cluster.directory, 'data', 'run')), [], 'no pid file is left');
  const again = await Cluster.startIn(cluster.directory, cluster.port);
  t.teardown(() => again.stop());
  t.like(await again.show('kept'), { id: before.id, generation: 2, digest: before.digest });
  await repository.expectSettledAt();
  await repository.mustPush();
  await repository.expectSettledAt();
});

test('a second cluster on the same directory is refused, and the first goes on', async (t) => {
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'first');
  const pid = await cluster.pid('trivet');
  await t.throwsAsync(Cluster.startIn(cluster.directory, await freePorts(4)), { message: new RegExp(`a cluster with process id ${pid} uses .* already`) });
  await repository.mustPush();
  t.is(await cluster.pid('trivet'), pid);
  await repository.expectSettledAt();

  // With --no-restart, as here, what died stays dead and is told of.
  await cluster.signal('node1', 'SIGKILL');
  await until(() => cluster.output.includes('node1 ended (SIGKILL)\n'), PATIENCE_MS, () => `nothing was said:\n${cluster.output}`);
  await untilHealthy(cluster, 'node1', false);
  t.false((await readdir(join(cluster.directory, 'data', 'run'))).includes('node1.pid'));
  await repository.mustPush();
});

test('every part that dies is started again, and all replicas become equal', async (t) => {
  const cluster = await Cluster.start({ restart: true });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'restarts');
  for (const part of ['node2', 'controller']) {
    const pid = await cluster.pid(part);
    await cluster.signal(part, 'SIGKILL');
    await until(async () => {
      const now = await cluster.pid(part).catch(() => pid);
      return now !== pid && (await fetch(`${cluster.partUrl(part)}/readyz`).catch(() => undefined))?.ok === true;
    }, PATIENCE_MS, () => `${part} was not started again:\n${cluster.output}`);
    t.true(cluster.output.includes(`${part} ended (SIGKILL), starting it again`));
  }
  for (const node of cluster.nodeNames()) await untilHealthy(cluster, node, true);
  await repository.mustPush();
  await repository.expectSettledAt();
});

test('a cluster that is told to stop while it starts leaves nothing running', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'trivet-test-'));
  t.teardown(() => rm(directory, { recursive: true, force: true, maxRetries: 3 }));
  const launcher = spawn(process.execPath, ['controller/cli/start.ts', '--port', String(await freePorts(4)), '--data', directory], {
    cwd: join(import.meta.dirname, '../..'), stdio: 'ignore',
  });
  await until(() => existsSync(join(directory, 'run', 'node3.pid')), PATIENCE_MS, () => 'node3 was never started');
  const ended = once(launcher, 'exit');
  launcher.kill('SIGTERM');
  t.deepEqual(await ended, [0, null]);
  t.deepEqual(await readdir(join(directory, 'run')), []);
});

test('five replicas survive two dead nodes, refuse pushes with three dead, and become equal when all are back', async (t) => {
  const cluster = await Cluster.start({ nodes: 5 });
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'five', { replicationFactor: 5 });
  t.is((await cluster.show('five')).replicas.length, 5);
  await cluster.arm('node4', 'prepare-promised', 'kill');
  await cluster.arm('node5', 'vote-answer', 'kill');
  await repository.mustPush();
  await repository.mustPush();
  await cluster.signal('node3', 'SIGKILL');
  await untilHealthy(cluster, 'node3', false);
  t.not((await repository.push()).code, 0, 'two of five are no quorum');
  t.is(await repository.remoteTip(), repository.acknowledged.at(-1));
  await Promise.all(['node3', 'node4', 'node5'].map((node) => cluster.startPart(node)));
  t.is((await repository.pushAgain()).code, 0);
  await repository.expectSettledAt();
});

test('a report of a process that another one has come after changes nothing', async (t) => {
  const cluster = await Cluster.start();
  t.teardown(() => cluster.stop());
  const repository = await PushedRepository.create(cluster, 'reported');
  const findings = async () => (await (await fetch(`${cluster.url}/api/v1/findings`)).json() as { items: { node: string; kind: string }[] }).items;
  const headers = { authorization: `Bearer ${await cluster.token()}`, 'content-type': 'application/json' };
  const report = (boot: string) => fetch(`${cluster.url}/internal/report`, { method: 'POST', headers, body: JSON.stringify({ node: 'node1', boot, replicas: [] }) });
  const { boot } = await (await fetch(`${cluster.partUrl('node1')}/status`, { headers })).json() as { boot: string };
  const old = await report('0'.repeat(32));
  t.is(old.status, 409);
  t.like(await old.json(), { code: 'node_restarted' });
  t.deepEqual(await findings(), []);
  t.is((await report(boot)).status, 200);
  t.like(await findings(), { length: 1, 0: { node: 'node1', kind: 'missing' } }, 'control: a report of the one that runs is believed');
  await untilReplica(cluster, 'reported', 'node1', ['current']);
  await repository.expectSettledAt();
});
