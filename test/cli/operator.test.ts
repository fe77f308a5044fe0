import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import anyTest from 'ava';
import { runCli, runCliOnTerminal } from '../../controller/cli/run-cli.ts';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { PushedRepository, untilHealthy, untilReplica } from '../faults/pushed-repository.ts';
import { commandsOf } from './commands.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  cluster = await Cluster.start({
    // Progress is written down several times in a lease; a repair of a few megabytes is watched at this rate.
    environment: { TRIVET_REPAIR_LEASE_MS: '3000', TRIVET_REPAIR_BYTES_PER_SECOND: String(1024 * 1024), TRIVET_VOTE_GRACE_MS: '300', TRIVET_COMMIT_GRACE_MS: '300' },
  });
});
anyTest.after.always(() => cluster?.stop());

const { trivet, document } = commandsOf(() => cluster.url);

/** A replica's packs on the disk. */
async function packsOf(repository: string, node: string): Promise<string[]> {
  const directory = join(await cluster.replicaDirectory(repository, node), 'objects', 'pack');
  return (await readdir(directory)).filter((name) => name.endsWith('.pack')).map((name) => join(directory, name));
}

/** Changes one bit in the middle of a file. */
async function flipBit(path: string): Promise<void> {
  const bytes = await readFile(path);
  bytes[bytes.length >> 1]! ^= 1;
  await writeFile(path, bytes);
}

test('a cluster that is well: nothing at risk, nothing open, everything equal, every push decided', async (t) => {
  const repository = await PushedRepository.create(cluster, 'well-known');
  await repository.mustPush();
  t.like(await trivet('at-risk'), { code: 0, stdout: 'Nothing is at risk.\n' });
  t.deepEqual(await document(t, 0, 'at-risk'), { total: 0, byKind: { under_replicated: 0, no_quorum: 0, unavailable: 0 }, items: [] });
  t.like(await trivet('repair', 'list', '--repository', 'well-known'), { code: 0, stdout: 'No open repair jobs.\n' });
  t.like(await trivet('repair', 'watch'), { code: 0, stdout: 'Nothing is open.\n' });
  t.like(await trivet('repair', 'run', 'well-known'), { code: 0, stdout: 'Nothing to repair: every replica of well-known is current.\n' });
  t.like(await trivet('repair', 'run', 'well-known', '--node', 'node1'), { code: 0, stdout: 'Nothing to repair: the replica on node1 of well-known is current.\n' });
  t.like(await trivet('findings'), { code: 0, stdout: 'No open findings.\n' });

  const verification = await document(t, 0, 'verify', 'well-known.git', '--full');
  t.like(verification, { repository: 'well-known', full: true });
  t.deepEqual(verification.replicas.map((replica: any) => [replica.node, replica.state, replica.result]), cluster.nodeNames().map((node) => [node, 'current', 'equal']));
  t.true(verification.replicas.every((replica: any) => replica.packs > 0 && replica.bytes > 0));
  t.regex((await trivet('verify', '--all')).stdout, /^1 repository verified, 3 of 3 replicas equal\.$/m);

  const { items } = await document(t, 0, 'transactions', 'list', '--repository', 'well-known');
  t.deepEqual(items.map((item: any) => [item.outcome, item.generation, item.repository]), [['commit', 2, 'well-known'], ['commit', 1, 'well-known']]);
  t.regex((await trivet('transactions', 'show', items[0].id)).stdout, /^outcome +commit$/m);
  t.like(await document(t, 0, 'transactions', 'settle', items[0].id), { outcome: 'commit', generation: 2 });
  t.deepEqual((await document(t, 0, 'transactions', 'list', '--outcome', 'in_doubt')).items, []);
});

test('`npx trivet` asks the cluster too', async (t) => {
  const { code, stdout } = await runCli(['repair', 'list', '--state', 'done'], { url: cluster.url, program: ['npx', '--no-install', 'trivet'] });
  t.is(code, 0);
  t.regex(stdout, /^No done repair jobs\.$|^JOB/m);
});

test('what isn\'t there is a mistake of the command, not of the cluster', async (t) => {
  for (const args of [['verify', 'nothing'], ['repair', 'run', 'nothing'], ['repair', 'list', '--repository', 'nothing']]) {
    const { code, stderr } = await trivet(...args);
    t.is(code, 2);
    t.regex(stderr, /repository_not_found/);
  }
  t.regex((await trivet('repair', 'run', 'well-known', '--node', 'node9')).stderr, /node9/);
});

test('a node that is down: its repositories are at risk, its job waits, and is followed to its end when it is back', async (t) => {
  const repository = await PushedRepository.create(cluster, 'down');
  await cluster.signal('node3', 'SIGKILL');
  await untilHealthy(cluster, 'node3', false);
  await repository.mustPush();
  await untilReplica(cluster, 'down', 'node3', ['outdated']);

  const risk = await document(t, 1, 'at-risk', '--kind', 'under_replicated');
  const item = risk.items.find((each: any) => each.repository === 'down');
  t.like(item, { kind: 'under_replicated', configured: 3, quorum: 2, current: 2 });
  t.like(item.replicas.find((replica: any) => replica.node === 'node3'), { state: 'outdated', reachable: false, generation: 1 });
  t.is(item.jobs[0].node, 'node3');
  t.regex((await trivet('at-risk')).stdout, /^down +under_replicated +2 of 3 .* node3 outdated \(missed a commit\), unreachable, job waiting/m);
  t.is((await trivet('at-risk', '--kind', 'unavailable')).code, 0);

  // Nobody can work on it: the command leaves it after a second, and says that it isn't done.
  const waiting = await document(t, 1, 'repair', 'run', 'down', '--timeout', '1s');
  t.like(waiting.items[0], { node: 'node3', state: 'waiting' });
  const { id } = waiting.items[0];
  t.like(await document(t, 0, 'repair', 'list', '--node', 'node3', '--repository', 'down'), { items: { 0: { id }, length: 1 } });

  // Cancelled, it stays so until somebody asks anew.
  t.like(await document(t, 0, 'repair', 'cancel', id), { id, state: 'cancelled' });
  t.like(await document(t, 1, 'repair', 'retry', id), { code: 'job_finished' });
  t.like(await document(t, 0, 'repair', 'list', '--repository', 'down'), { items: { length: 0 } });
  const again = await document(t, 0, 'repair', 'run', 'down', '--no-wait');
  t.not(again.items[0].id, id);

  const watch = trivet('repair', 'watch', '--repository', 'down', '--json');
  await cluster.startPart('node3');
  const watched = await watch;
  t.is(watched.code, 0);
  const seen = watched.stdout.trimEnd().split('\n').map((line) => JSON.parse(line));
  t.like(seen.at(-1), { id: again.items[0].id, state: 'done' });
  t.regex((await trivet('repair', 'show', again.items[0].id)).stdout, /^state +done$/m);
  await repository.expectSettledAt();
  t.is((await trivet('at-risk')).code, 0);
});

test('a ref edited by hand is found by verify, and repaired', async (t) => {
  const repository = await PushedRepository.create(cluster, 'edited');
  await repository.mustPush();
  const directory = await cluster.replicaDirectory('edited', 'node2');
  await writeFile(join(directory, 'refs', 'heads', 'by-hand'), `${repository.acknowledged[0]}\n`);
  const found = await document(t, 1, 'verify', 'edited');
  t.like(found.replicas.find((replica: any) => replica.node === 'node2'), { result: 'diverged' });
  t.is(found.replicas.filter((replica: any) => replica.result === 'equal').length, 2);
  t.is((await trivet('repair', 'watch', '--repository', 'edited')).code, 0);
  await cluster.converged('edited');
  t.is((await trivet('verify', 'edited', '--full')).code, 0);
  const findings = await document(t, 0, 'findings', '--state', 'all', '--repository', 'edited');
  t.like(findings.items[0], { node: 'node2', repository: 'edited', kind: 'diverged' });
  t.is(typeof findings.items[0].resolvedAt, 'string');
  t.is((await trivet('findings')).code, 0);
  await repository.expectSettledAt();
});

test('a flipped bit is found by verify --full, and healed by repair run', async (t) => {
  const repository = await PushedRepository.create(cluster, 'flipped');
  await repository.mustPush();
  await flipBit((await packsOf('flipped', 'node1'))[0]!);
  const found = await document(t, 1, 'verify', 'flipped', '--full');
  t.like(found.replicas.find((replica: any) => replica.node === 'node1'), { result: 'corrupt' });
  // The job was opened at once; to ask for one more is to follow that one, or to find it done.
  t.is((await trivet('repair', 'run', 'flipped')).code, 0);
  await cluster.converged('flipped');
  t.is((await trivet('verify', 'flipped', '--full')).code, 0);
  await repository.expectSettledAt();
});

test('repair run with a node finds damage in a replica that counts as current', async (t) => {
  const repository = await PushedRepository.create(cluster, 'unseen');
  await flipBit((await packsOf('unseen', 'node2'))[0]!);
  t.is((await trivet('verify', 'unseen')).code, 0, 'refs alone are equal');
  const { items } = await document(t, 0, 'repair', 'run', 'unseen', '--node', 'node2');
  t.like(items[0], { node: 'node2', reason: 'corrupt', state: 'done' });
  t.is((await trivet('verify', 'unseen', '--full')).code, 0);
  await repository.expectSettledAt();
});

test('a long repair has a bar on a terminal that gets on', async (t) => {
  const repository = await PushedRepository.create(cluster, 'long');
  await cluster.signal('node3', 'SIGKILL');
  await untilHealthy(cluster, 'node3', false);
  // Random, so that it can't be compressed: some seconds at the rate that a repair has here.
  await repository.work.commit('large', { large: randomBytes(3 * 1024 * 1024).toString('base64') });
  t.is((await repository.pushAgain()).code, 0);
  await untilReplica(cluster, 'long', 'node3', ['outdated']);
  const run = runCliOnTerminal(['repair', 'run', 'long'], { url: cluster.url });
  await cluster.startPart('node3');
  const { code, stdout } = await run;
  t.is(code, 0);
  t.regex(stdout, /\[█+░+\] +[1-9][0-9]? %/, 'somewhere between beginning and end');
  t.regex(stdout, /\[█{20}\] 100 %/);
  t.regex(stdout, /fetch from node[12], round 1/);
  await repository.expectSettledAt();
});

test('a controller that is started anew is waited for, and one that is gone ends with 3', async (t) => {
  const repository = await PushedRepository.create(cluster, 'restarted');
  await cluster.signal('node3', 'SIGKILL');
  await untilHealthy(cluster, 'node3', false);
  await repository.mustPush();
  await untilReplica(cluster, 'restarted', 'node3', ['outdated']);
  let seen = '';
  const run = runCli(['repair', 'run', 'restarted'], { url: cluster.url, onOutput: (_child, output) => { seen = output; } });
  await until(() => seen.includes('waits'), PATIENCE_MS, () => `nothing was told: ${seen}`);
  await cluster.signal('controller', 'SIGKILL');
  await until(() => seen.includes('refuses connections'), PATIENCE_MS, () => `silence was not told: ${seen}`);
  t.like(await trivet('at-risk'), { code: 3, stdout: '' });
  await cluster.startPart('controller');
  await cluster.startPart('node3');
  t.is((await run).code, 0);
  await repository.expectSettledAt();
});
