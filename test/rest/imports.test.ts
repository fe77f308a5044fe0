import { join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import anyTest from 'ava';
import { damagePack, git, makeSource, refsOf, serveFiles } from '../../replica/imports/source-repository.ts';
import { Cluster, expectEqualReplicas, expectNothingLeft, PATIENCE_MS, until } from '../cluster.ts';

const test = anyTest.serial;
let cluster: Cluster;
let root: string;
anyTest.before(async () => {
  root = await mkdtemp(join(tmpdir(), 'trivet-sources-'));
  cluster = await Cluster.start({ environment: { TRIVET_IMPORT_DIRECTORY: root, TRIVET_IMPORT_PRIVATE: 'true', TRIVET_REPAIR_LEASE_MS: '1000', TRIVET_MAX_COMMANDS: '50' } });
});
anyTest.after.always(async () => {
  await cluster?.stop();
  await rm(root, { recursive: true, force: true });
});

async function call(method: string, path: string, body?: object): Promise<{ status: number; json: any }> {
  const response = await fetch(`${cluster.url}/api/v1/${path}`, { method, ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }) });
  return { status: response.status, json: await response.json() };
}

async function begin(name: string, source: string, body: object = {}): Promise<string> {
  const { status, json } = await call('POST', 'imports', { name, source, ...body });
  if (status !== 202) throw new Error(JSON.stringify(json));
  return json.id as string;
}

async function ended(id: string): Promise<any> {
  let last: any;
  await until(async () => {
    last = (await call('GET', `imports/${id}`)).json;
    return last.state !== 'waiting' && last.state !== 'running';
  }, PATIENCE_MS, () => `the import does not end: ${JSON.stringify(last)}`);
  return last;
}

/** The name is free, and nothing is left on any disk. */
async function expectGone(name: string): Promise<void> {
  if ((await call('GET', `repositories/${name}`)).status !== 404) throw new Error(`${name} is still there`);
  await until(async () => {
    const tables = await call('GET', 'findings?open=true');
    return tables.json.items.length === 0;
  }, PATIENCE_MS, () => 'there are findings');
  await expectNothingLeft(cluster);
}

test('a repository comes from a directory on a node with all its refs and its HEAD, and can then be pushed to', async (t) => {
  const path = makeSource(join(root, 'one.git'));
  const done = await ended(await begin('from/directory', `node2:${path}`));
  t.like(done, { state: 'done', node: 'node2', lastError: null, repository: 'from/directory', source: `node2:${path}` });
  t.true(done.progress.objects > 0);
  t.deepEqual(await expectEqualReplicas(cluster, 'from/directory'), refsOf(path));
  const view = await cluster.show('from/directory');
  t.like(view, { defaultBranch: 'trunk', generation: 1 });
  const work = await cluster.workTree();
  await work.git('remote', 'add', 'origin', cluster.gitUrl('from/directory'));
  await work.git('pull', '-q', 'origin', 'trunk');
  await work.commit('more');
  await work.git('push', '-q', 'origin', 'HEAD:trunk');
  await expectNothingLeft(cluster);
});

test('a repository comes from a URL, and names that differ in case only are refused at once', async (t) => {
  const path = makeSource(join(root, 'two.git'), 2_000_000);
  const url = `${await serveFiles(t, root)}/two.git`;
  t.like(await ended(await begin('from-url', url)), { state: 'done' });
  t.deepEqual(await expectEqualReplicas(cluster, 'from-url'), refsOf(path));
  t.like(await call('POST', 'imports', { name: 'FROM-url', source: url }), { status: 409, json: { code: 'repository_exists' } });
});

test('an empty repository is imported as one', async (t) => {
  git(root, 'init', '-q', '--bare', 'empty.git');
  t.like(await ended(await begin('empty', `node1:${join(root, 'empty.git')}`)), { state: 'done' });
  t.like((await call('GET', 'repositories/empty')).json, { state: 'ready', generation: 0 });
});

test('while a repository is imported git is told so, it can not be deleted, and its progress is seen; a cancel leaves nothing', async (t) => {
  makeSource(join(root, 'slow.git'));
  const url = `${await serveFiles(t, root, (path) => (path.endsWith('.pack') ? new Promise(() => {}) : Promise.resolve()))}/slow.git`;
  const id = await begin('slow', url);
  await until(async () => (await call('GET', `imports/${id}`)).json.phase === 'fetching', PATIENCE_MS, () => 'it is never fetched');
  t.like((await call('GET', 'repositories/slow')).json, { state: 'importing' });
  const work = await cluster.workTree();
  t.regex((await work.tryGit('ls-remote', cluster.gitUrl('slow'))).stderr, /still being imported|503/);
  t.is((await call('DELETE', 'repositories/slow')).json.code, 'repository_importing');
  t.is((await call('PATCH', 'repositories/slow', { defaultBranch: 'x' })).json.code, 'repository_importing');
  t.deepEqual((await call('GET', 'imports?state=open')).json.items.map((item: any) => item.id), [id]);
  t.like((await call('POST', `imports/${id}/cancel`)).json, { state: 'cancelled' });
  t.like(await call('POST', `imports/${id}/cancel`), { status: 409, json: { code: 'import_finished' } });
  await expectGone('slow');
});

test('a broken repository is not imported: the error says what git said, and no half of it is ever there', async (t) => {
  const path = makeSource(join(root, 'broken.git'), 100_000);
  damagePack(path);
  const failed = await ended(await begin('broken', `node1:${path}`));
  t.is(failed.state, 'failed');
  t.regex(failed.lastError, /^import_failed: the source could not be imported .*(fatal|error|remote): /);
  await expectGone('broken');
  t.like(await ended(await begin('broken', `node1:${makeSource(join(root, 'sound.git'))}`)), { state: 'done' });
});

test('more refs than one push may create are too many, and an unreachable source is told of', async (t) => {
  const path = makeSource(join(root, 'many.git'));
  for (let i = 0; i < 60; i++) git(path, 'update-ref', `refs/tags/t${i}`, 'refs/heads/main');
  const many = await ended(await begin('many', `node1:${path}`));
  t.regex(many.lastError, /^too_many_commands: .*"limit":50/);
  t.regex((await ended(await begin('unreachable', 'http://127.0.0.1:9/r.git'))).lastError, /^import_failed: /);
  await expectGone('many');
  await expectGone('unreachable');
});

test('a source with a password, of another kind, or on no node is refused before anything is made', async (t) => {
  for (const [source, problem] of [['https://me:hunter2@example.org/r', /kept in the database/], ['ssh://example.org/r', /only http and https/], ['nowhere:/srv/r', /no such node/], ['/srv/r', /a source is/]] as const) {
    const { status, json } = await call('POST', 'imports', { name: 'refused', source });
    t.is(status, 400);
    t.is(json.code, 'import_refused');
    t.regex(json.fields.problem, problem);
    t.notRegex(JSON.stringify(json), /hunter2/);
  }
  t.regex((await ended(await begin('refused', 'node1:/etc'))).lastError, /^import_refused: .*not below/);
  await expectGone('refused');
});
