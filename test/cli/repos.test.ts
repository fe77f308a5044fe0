import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import anyTest from 'ava';
import { damagePack, makeSource } from '../../replica/imports/source-repository.ts';
import { Cluster } from '../cluster.ts';
import { PushedRepository } from '../faults/pushed-repository.ts';
import { commandsOf } from './commands.ts';

const test = anyTest.serial;
let cluster: Cluster;
let root: string;
anyTest.before(async () => {
  root = await mkdtemp(join(tmpdir(), 'trivet-sources-'));
  cluster = await Cluster.start({ environment: { TRIVET_IMPORT_DIRECTORY: root } });
});
anyTest.after.always(async () => {
  await cluster?.stop();
  await rm(root, { recursive: true, force: true });
});

const { trivet, document } = commandsOf(() => cluster.url);

test('a repository is created, shown, listed, changed and renamed', async (t) => {
  t.like(await trivet('repos', 'list'), { code: 0, stdout: 'No repositories.\n' });
  t.like(await trivet('repos', 'create', 'org/one', '--deny-deletes', 'yes'), { code: 0, stdout: 'org/one is created, on node1, node2, node3.\n' });
  t.is((await trivet('repos', 'create', 'ORG/one')).code, 1, 'the name is taken');
  t.is((await trivet('repos', 'create', 'org/large', '--factor', '4')).code, 3);
  const shown = await trivet('repos', 'show', 'org/one');
  t.regex(shown.stdout, /^policy +no deletions$/m);
  t.regex(shown.stdout, /^node2 +current +0/m);
  t.like(await document(t, 0, 'repos', 'set', 'org/one', '--factor', '2', '--deny-deletes', 'no'), { replicationFactor: 2, denyDeletes: false });
  t.regex((await trivet('repos', 'set', 'org/one', '--default-branch', 'trunk')).stdout, /^default branch +trunk$/m);
  t.is((await trivet('repos', 'set', 'org/one')).code, 2, 'nothing to change');
  t.like(await trivet('repos', 'rename', 'org/one', 'org/two'), { code: 0, stdout: 'org/one is now org/two.\n' });
  t.regex((await trivet('repos', 'list')).stdout, /^org\/two +ready +trunk +1 +3 of 2$/m);
  t.is((await trivet('repos', 'show', 'org/one')).code, 2);
});

test('a repository is deleted only when its name is given twice, is seen in the trash, and comes back or goes for good', async (t) => {
  const repository = await PushedRepository.create(cluster, 'bin');
  const { id } = await cluster.show('bin');
  t.regex((await trivet('repos', 'delete', 'bin')).stderr, /To do it, add --yes bin/);
  t.regex((await trivet('repos', 'delete', 'bin', '--yes', 'bon')).stderr, /--yes names bon, not bin/);
  t.is((await cluster.show('bin')).generation, 1);
  t.regex((await trivet('repos', 'delete', 'bin', '--yes', 'bin')).stdout, new RegExp(`^bin is in the trash as ${id}, to be purged in (7 d|6 d 23 h)`));
  t.regex((await trivet('repos', 'trash')).stdout, new RegExp(`^${id} +bin +\\d`, 'm'));
  await cluster.create('bin');
  t.is((await trivet('repos', 'restore', 'bin')).code, 1, 'the name is taken');
  t.like(await trivet('repos', 'restore', 'bin', '--name', 'back'), { code: 0, stdout: 'back is restored, at generation 1.\n' });
  t.is((await repository.work.git('ls-remote', cluster.gitUrl('back'), 'main')).split('\t')[0], repository.acknowledged[0]);
  await trivet('repos', 'delete', 'bin', '--yes', 'bin');
  await trivet('repos', 'rename', 'back', 'bin');
  await trivet('repos', 'delete', 'bin', '--yes', 'bin');
  t.like(await trivet('repos', 'restore', 'bin'), { code: 2 });
  t.is((await trivet('repos', 'purge', id)).code, 2);
  t.like(await trivet('repos', 'purge', id, '--yes', 'bin'), { code: 0, stdout: `bin (${id}) is purged.\n` });
  t.like(await trivet('repos', 'restore', 'bin'), { code: 0, stdout: 'bin is restored, at generation 0.\n' });
  t.like(await trivet('repos', 'trash'), { code: 0, stdout: 'The trash is empty.\n' });
});

test('an import is followed to its end, and one that fails says why', async (t) => {
  const path = makeSource(join(root, 'r.git'));
  const done = await trivet('repos', 'import', 'org/imported', `node1:${path}`, '--watch');
  t.is(done.code, 0, done.stderr);
  t.regex(done.stdout, /^org\/imported: imported, \d+ of \d+ objects, /);
  const broken = makeSource(join(root, 'broken.git'), 50_000);
  damagePack(broken);
  const failed = await trivet('repos', 'import', 'org/broken', `node1:${broken}`, '--watch');
  t.is(failed.code, 1);
  t.regex(failed.stdout, /^org\/broken: failed, and is gone: import_failed: /);
  t.is((await trivet('repos', 'import', 'x', 'https://me:pw@example.org/r')).code, 2);
  t.regex((await trivet('repos', 'imports', '--state', 'failed')).stdout, /org\/broken: failed/);
  const { items } = await document(t, 0, 'repos', 'imports', '--state', 'all');
  t.deepEqual(items.map((item: any) => item.state), ['failed', 'done']);
  t.is((await trivet('repos', 'cancel-import', items[0].id)).code, 1);
});
