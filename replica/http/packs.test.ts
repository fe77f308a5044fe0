import { execFile } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test, { type ExecutionContext } from 'ava';
import { Check } from 'typebox/value';
import { newId } from '@trivet/proto/id.ts';
import { PackListing, ReplicaListing } from '@trivet/proto/messages.ts';
import { TestNode, TestRepository, TOKEN } from '../test-node.ts';

test('the packs of a replica are listed with their sizes; what is no whole pack is not', async (t) => {
  const { node, repository, directory, name } = await pushed(t);
  for (const stray of ['pack-1.pack', `pack-${'a'.repeat(40)}.pack`, `pack-${'b'.repeat(40)}.idx`, 'tmp_pack_x', 'notes.txt']) writeFileSync(join(directory, stray), 'x');
  const listing = await json(node, `/repositories/${repository.id}/packs`);
  t.true(Check(PackListing, listing));
  t.deepEqual(listing, {
    packs: [{ name, bytes: readFileSync(join(directory, `${name}.pack`)).length, indexBytes: readFileSync(join(directory, `${name}.idx`)).length }],
    loose: false,
  });
});

for (const [what, make] of [
  ['a loose object', (gitDir: string) => { mkdirSync(join(gitDir, 'objects/ab')); writeFileSync(join(gitDir, 'objects/ab', 'c'.repeat(38)), ''); }],
  ['an alternate', (gitDir: string) => writeFileSync(join(gitDir, 'objects/info/alternates'), '/elsewhere\n')],
  ['a pack with an odd name', (gitDir: string) => { for (const suffix of ['.pack', '.idx']) writeFileSync(join(gitDir, `objects/pack/by-hand${suffix}`), ''); }],
] as const) {
  test(`${what} is said to be outside the packs that are listed`, async (t) => {
    const { node, repository } = await pushed(t);
    make(node.gitDir(repository.id));
    t.like(await json(node, `/repositories/${repository.id}/packs`), { loose: true });
  });
}

test('a pack and an index are given byte for byte, whole or from a byte on', async (t) => {
  const { node, repository, directory, name } = await pushed(t, 100_000);
  for (const suffix of ['.pack', '.idx']) {
    const bytes = readFileSync(join(directory, `${name}${suffix}`));
    const path = `/repositories/${repository.id}/packs/${name}${suffix}`;
    for (const [range, status, from] of [[undefined, 200, 0], ['bytes=0-', 200, 0], ['bytes=1-', 206, 1], [`bytes=${bytes.length - 1}-`, 206, bytes.length - 1], ['bytes=1-2', 200, 0], ['nonsense', 200, 0]] as const) {
      const response = await node.request('GET', path, { headers: range === undefined ? {} : { range } });
      t.is(response.status, status, range);
      t.is(response.headers.get('content-length'), String(bytes.length - from));
      if (status === 206) t.is(response.headers.get('content-range'), `bytes ${from}-${bytes.length - 1}/${bytes.length}`);
      t.deepEqual(Buffer.from(await response.arrayBuffer()), bytes.subarray(from));
    }
    const beyond = await node.request('GET', path, { headers: { range: `bytes=${bytes.length}-` } });
    t.is(beyond.status, 416);
    t.is(beyond.headers.get('content-range'), `bytes */${bytes.length}`);
  }
});

test('nothing but the files of packs can be asked for', async (t) => {
  const { node, repository, name } = await pushed(t);
  for (const file of ['..%2f..%2fconfig', 'config', '..', `${name}.pack%00`, `${name}.keep`, `${name}`, `..%2fpack%2f${name}.pack`, 'pack-xyz.pack', `${name}.pack/x`]) {
    const { status } = await node.request('GET', `/repositories/${repository.id}/packs/${file}`);
    t.true(status === 400 || status === 404, `${file}: ${status}`);
  }
  t.is((await node.request('GET', `/repositories/${repository.id}/packs/pack-${'0'.repeat(40)}.pack`)).status, 404);
  t.is((await node.request('GET', `/repositories/${newId()}/packs`)).status, 404);
  t.is((await fetch(`${node.url}/repositories/${repository.id}/packs/${name}.pack`)).status, 401);
});

test('what is asked for slowly comes slowly, a pack as well as a clone; nonsense is refused', async (t) => {
  const { node, repository, name } = await pushed(t, 30_000);
  const path = `/repositories/${repository.id}/packs/${name}.pack`;
  const rate = { 'trivet-bytes-per-second': '20000' };
  const config = Object.entries({ authorization: `Bearer ${TOKEN}`, ...rate }).flatMap(([key, value]) => ['-c', `http.extraHeader=${key}: ${value}`]);
  const readers = [
    async () => Buffer.from(await (await node.request('GET', path, { headers: rate })).arrayBuffer()).length,
    async () => {
      const clone = join(node.directory, 'clone');
      await promisify(execFile)('git', [...config, 'clone', '-q', '--bare', `${node.url}/repositories/${repository.id}`, clone]);
      const [pack] = readdirSync(join(clone, 'objects/pack')).filter((file) => file.endsWith('.pack'));
      return readFileSync(join(clone, 'objects/pack', pack!)).length;
    },
  ];
  for (const read of readers) {
    const startedAt = performance.now();
    const bytes = await read();
    const seconds = (performance.now() - startedAt) / 1000;
    t.true(bytes > 20_000);
    // All but the last slice, a twentieth of a second's worth, has to wait for its time.
    t.true(bytes / seconds < 25_000, `${bytes} bytes in ${seconds} s`);
  }
  for (const wrong of ['0', '-1', '1023', 'fast', '1e99']) {
    t.is((await node.request('GET', path, { headers: { 'trivet-bytes-per-second': wrong } })).status, 400);
  }
});

test('every repository directory is listed, readable or not; what repairs keep beside them isn\'t', async (t) => {
  const { node, repository } = await pushed(t);
  const gitDir = node.gitDir(repository.id);
  const unreadable = newId();
  for (const path of [node.gitDir(unreadable), `${gitDir}.rebuilding-${newId()}`, `${gitDir}.replaced-${newId()}`, `${gitDir}.removed-1`]) mkdirSync(path, { recursive: true });
  const listing = await json(node, '/repositories');
  t.true(Check(ReplicaListing, listing));
  t.deepEqual((listing as ReplicaListing).replicas.toSorted(), [repository.id, unreadable].toSorted());
});

test('the packs of a replica whose directory has gone are not to be had', async (t) => {
  const { node, repository } = await pushed(t);
  renameSync(node.gitDir(repository.id), `${node.gitDir(repository.id)}.gone`);
  t.is((await node.request('GET', `/repositories/${repository.id}/packs`)).status, 404);
});

async function pushed(t: ExecutionContext, fileBytes = 100) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node], { fileBytes });
  const directory = join(node.gitDir(repository.id), 'objects/pack');
  const name = readdirSync(directory).find((file) => file.endsWith('.pack'))!.slice(0, -'.pack'.length);
  return { node, repository, directory, name };
}

async function json(node: TestNode, path: string): Promise<unknown> {
  return (await node.request('GET', path)).json();
}
