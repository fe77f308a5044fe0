import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import type { ImportHeader, ImportRequest } from '@trivet/proto/messages.ts';
import { running } from '../git/process.ts';
import { PATIENCE_MS, until } from '../../test/cluster.ts';
import { TestNode } from '../test-node.ts';
import { damagePack, git, makeSource, refsOf, scratch, serveFiles } from './source-repository.ts';

interface Imported { status: number; header?: ImportHeader; pack?: Buffer; error?: { code: string; fields: { problem?: string } } }

async function importFrom(node: TestNode, source: ImportRequest['source'], objectFormat = 'sha1'): Promise<Imported> {
  const response = await node.request('POST', `/imports/${newId()}`, { body: { source, objectFormat } });
  const bytes = Buffer.from(await response.arrayBuffer());
  if (response.status !== 200) return { status: response.status, error: JSON.parse(bytes.toString()) as Imported['error'] };
  const end = 4 + bytes.readUInt32BE();
  return { status: 200, header: JSON.parse(bytes.subarray(4, end).toString()) as ImportHeader, pack: bytes.subarray(end) };
}

/** The answer may end before what it was made of is gone. */
async function expectNothingLeft(t: ExecutionContext, node: TestNode): Promise<void> {
  const root = join(node.directory, 'imports');
  const left = () => [
    ...(existsSync(root) ? readdirSync(root) : []), ...[...running].map(({ spawnargs }) => spawnargs.join(' ')).filter((command) => command.includes(node.directory)),
  ];
  await until(() => left().length === 0, PATIENCE_MS, () => `left behind: ${left().join(', ')}`);
  t.pass();
}

async function nodeWith(t: ExecutionContext, environment: Record<string, string> = {}): Promise<{ node: TestNode; root: string }> {
  const root = scratch(t);
  return { root, node: await TestNode.start(t, { environment: { TRIVET_IMPORT_DIRECTORY: root, TRIVET_IMPORT_PRIVATE: 'true', ...environment } }) };
}

for (const way of ['a directory', 'a URL'] as const) {
  test(`everything but another clone's view comes from ${way}, as one whole pack`, async (t) => {
    const { node, root } = await nodeWith(t);
    const path = makeSource(join(root, 'r.git'));
    const source = way === 'a URL' ? { url: `${await serveFiles(t, root)}/r.git` } : { directory: path };
    const { header, pack } = await importFrom(node, source);
    t.is(header!.head, 'refs/heads/trunk');
    t.deepEqual(new Map(header!.refs), refsOf(path));
    const empty = join(root, 'check.git');
    git(root, 'init', '-q', '--bare', empty);
    execFileSync('git', ['index-pack', '--stdin', '--strict', '--fsck-objects'], { cwd: empty, input: pack!, stdio: ['pipe', 'ignore', 'pipe'] });
    for (const [, oid] of header!.refs) t.notThrows(() => git(empty, 'rev-list', '--objects', oid));
    await expectNothingLeft(t, node);
  });
}

test('a work tree can be imported, and so can a repository of another object format', async (t) => {
  const { node, root } = await nodeWith(t);
  git(root, 'init', '-q', '--object-format=sha256', '-b', 'main', 'work');
  writeFileSync(join(root, 'work', 'file'), 'x');
  git(join(root, 'work'), 'add', '.');
  git(join(root, 'work'), 'commit', '-qm', 'first');
  const { header } = await importFrom(node, { directory: join(root, 'work') }, 'sha256');
  t.deepEqual(header!.refs, [['refs/heads/main', git(join(root, 'work'), 'rev-parse', 'HEAD')]]);
  t.like(await importFrom(node, { directory: join(root, 'work') }, 'sha1'), { status: 502, error: { code: 'import_failed' } });
  await expectNothingLeft(t, node);
});

test('an empty repository is imported as one', async (t) => {
  const { node, root } = await nodeWith(t);
  git(root, 'init', '-q', '--bare', 'r.git');
  const { header, pack } = await importFrom(node, { directory: join(root, 'r.git') });
  t.like(header, { head: null, refs: [] });
  t.is(pack!.length, 0);
});

for (const [what, breakIt] of [
  ['a damaged pack', damagePack],
  ['a ref to an object that is not there', (path: string) => { mkdirSync(join(path, 'refs/heads'), { recursive: true }); writeFileSync(join(path, 'refs/heads/broken'), `${'1'.repeat(40)}\n`); }],
  ['a pack that is gone', (path: string) => { rmSync(join(path, 'objects/pack'), { recursive: true }); }],
] as const) {
  test(`a repository with ${what} is not imported, and git's words are told`, async (t) => {
    const { node, root } = await nodeWith(t);
    const path = makeSource(join(root, 'r.git'));
    breakIt(path);
    const { status, error } = await importFrom(node, { directory: path });
    t.is(status, 502);
    t.is(error!.code, 'import_failed');
    t.regex(error!.fields.problem!, /^(fatal|error|remote): /);
    await expectNothingLeft(t, node);
  });
}

test('an object that git\'s own checks refuse is not imported', async (t) => {
  const { node, root } = await nodeWith(t);
  const path = makeSource(join(root, 'r.git'));
  const bad = execFileSync('git', ['hash-object', '-w', '-t', 'commit', '--stdin', '--literally'], { cwd: path, encoding: 'utf8', input: `tree ${git(path, 'rev-parse', 'trunk^{tree}')}\nauthor nobody\ncommitter nobody\n\nx\n` }).trim();
  git(path, 'update-ref', 'refs/heads/bad', bad);
  t.like(await importFrom(node, { directory: path }), { status: 502, error: { code: 'import_failed' } });
});

test('what is not a repository, or not there, says so', async (t) => {
  const { node, root } = await nodeWith(t);
  mkdirSync(join(root, 'empty'));
  t.like(await importFrom(node, { directory: join(root, 'empty') }), { status: 502, error: { code: 'import_failed' } });
  t.like(await importFrom(node, { url: 'http://127.0.0.1:9/r.git' }), { status: 502, error: { code: 'import_failed' } });
  t.like(await importFrom(node, { directory: '/etc' }), { status: 400, error: { code: 'import_refused' } });
  t.like(await importFrom(node, { url: 'http://me:secret@127.0.0.1/r' }), { status: 400, error: { code: 'import_refused' } });
  await expectNothingLeft(t, node);
});

test('a repository that is too large, or takes too long, is given up', async (t) => {
  const { node, root } = await nodeWith(t, { TRIVET_IMPORT_BYTES: '100000' });
  const large = await importFrom(node, { directory: makeSource(join(root, 'large.git'), 30_000_000) });
  t.regex(large.error!.fields.problem!, /larger than TRIVET_IMPORT_BYTES/);
  const slow = await nodeWith(t, { TRIVET_IMPORT_MS: '500' });
  makeSource(join(slow.root, 'r.git'));
  const url = await serveFiles(t, slow.root, (path) => (path.endsWith('.pack') ? new Promise(() => {}) : Promise.resolve()));
  const late = await importFrom(slow.node, { url: `${url}/r.git` });
  t.regex(late.error!.fields.problem!, /longer than TRIVET_IMPORT_MS/);
  await expectNothingLeft(t, node);
  await expectNothingLeft(t, slow.node);
});

test('an import whose caller goes away is stopped with its processes, and more at once than allowed are refused', async (t) => {
  const { node, root } = await nodeWith(t, { TRIVET_MAX_IMPORTS: '1' });
  makeSource(join(root, 'r.git'));
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
  const url = `${await serveFiles(t, root, (path) => { if (!path.endsWith('.pack')) return Promise.resolve(); onAsked(); return new Promise(() => {}); })}/r.git`;
  const id = newId();
  const caller = new AbortController();
  const left = node.context.imports.run(id, { source: { url }, objectFormat: 'sha1' }, caller.signal, async () => t.fail());
  await asked;
  t.truthy(node.context.imports.progressOf(id));
  t.like(await importFrom(node, { url }), { status: 503, error: { code: 'too_busy' } });
  caller.abort();
  await t.throwsAsync(left, { name: 'AbortError' });
  t.is(node.context.imports.progressOf(id), undefined);
  await expectNothingLeft(t, node);
});

test('what a killed process left of imports is removed at the next start', async (t) => {
  const { node } = await nodeWith(t);
  mkdirSync(join(node.directory, 'imports', `${newId()}.git`, 'objects'), { recursive: true });
  await node.context.imports.removeLeftovers();
  await expectNothingLeft(t, node);
});
