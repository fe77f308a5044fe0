import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tmpdir } from 'node:os';
import test, { type ExecutionContext } from 'ava';
import { examinePack, unsoundSideFiles } from '../git/pack-check.ts';
import { TestNode, TestRepository } from '../test-node.ts';
import { fsck } from './fsck.ts';
import { Problems } from './problems.ts';

const signal = new AbortController().signal;

for (const format of ['sha1', 'sha256'] as const) {
  test(`every flipped bit of a pack, its index and its reverse index is noticed by the checksums (${format})`, async (t) => {
    const { gitDir, directory, name } = await repository(t, format);
    t.deepEqual((await examinePack(gitDir, name, format, signal)).indexSound, true);
    for (const suffix of ['.pack', '.idx', '.rev']) {
      const path = join(directory, `${name}${suffix}`);
      const bytes = readFileSync(path);
      for (let at = 0; at < bytes.length; at++) {
        const flipped = Buffer.from(bytes);
        flipped[at]! ^= 1 << (at % 8);
        replace(path, flipped);
        const { checksum, indexSound } = await examinePack(gitDir, name, format, signal);
        const side = await unsoundSideFiles(gitDir, format, signal);
        const noticed = suffix === '.pack' ? checksum === undefined : suffix === '.idx' ? !indexSound : side.length === 1;
        if (!noticed) t.fail(`bit ${at % 8} of byte ${at} of the ${suffix}`);
      }
      replace(path, bytes);
    }
    const { checksum, indexSound } = await examinePack(gitDir, name, format, signal);
    t.true(checksum !== undefined && indexSound, 'control: with every bit as it was nothing is noticed');
    t.deepEqual(await unsoundSideFiles(gitDir, format, signal), []);
  });
}

for (const suffix of ['.pack', '.idx', '.rev']) {
  test(`a full verification finds a flipped bit in a ${suffix}, wherever it is`, async (t) => {
    const { node, id, directory, name } = await repository(t, 'sha1');
    const path = join(directory, `${name}${suffix}`);
    const bytes = readFileSync(path);
    const last = bytes.length - 1;
    // The header, every kind of field, both checksums, and what lies between.
    const places = suffix === '.pack'
      ? [0, 4, 7, 8, 11, 12, 13, 14, 20, 40, 80, 120, last - 20, last - 19, last - 10, last]
      : suffix === '.idx'
        ? [0, 4, 7, 8, 500, 1031, 1032, 1040, 1051, 1092, 1096, 1104, 1108, last - 39, last - 20, last - 19, last]
        : [0, 4, 7, 8, 12, last - 39, last - 20, last];
    t.deepEqual((await node.verify(id, true)).problems, [], 'control: nothing is found before');
    for (const at of places) {
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (at % 8);
      replace(path, flipped);
      const { problems } = await node.verify(id, true);
      t.true(problems.some((problem) => problem.kind === 'corrupt'), `bit ${at % 8} of byte ${at}`);
    }
  });
}

test('a truncated pack, index or reverse index, and an empty one, are found', async (t) => {
  const { node, id, directory, name } = await repository(t, 'sha1');
  for (const suffix of ['.pack', '.idx', '.rev']) {
    const path = join(directory, `${name}${suffix}`);
    const bytes = readFileSync(path);
    for (const length of [0, 10, bytes.length - 1]) {
      replace(path, bytes.subarray(0, length));
      t.not((await node.verify(id, true)).problems.length, 0, `${suffix} with ${length} bytes`);
    }
    replace(path, bytes);
  }
  t.deepEqual((await node.verify(id, true)).problems, []);
});

test('an index that is sound and another pack\'s is found', async (t) => {
  const { node, id, directory, name } = await repository(t, 'sha1');
  const other = await repository(t, 'sha1', 2);
  replace(join(directory, `${name}.idx`), readFileSync(join(other.directory, `${other.name}.idx`)));
  t.not((await node.verify(id, true)).problems.length, 0);
});

test('fsck of a replica that is copied elsewhere says the same', async (t) => {
  const { gitDir } = await repository(t, 'sha1');
  const copy = mkdtempSync(join(tmpdir(), 'trivet-copy-'));
  t.teardown(() => rmSync(copy, { recursive: true }));
  cpSync(gitDir, copy, { recursive: true });
  const problems = new Problems();
  await fsck(copy, problems, signal);
  t.deepEqual(problems.found, []);
});

/** A replica with one pack that has a reverse index. */
async function repository(t: ExecutionContext, format: 'sha1' | 'sha256', pushes = 1) {
  const node = await TestNode.start(t);
  const pushed = new TestRepository(format);
  await pushed.createOn(node);
  for (let i = 0; i < pushes; i++) await pushed.push([node]);
  node.git(pushed.id, '-c', 'pack.writeReverseIndex=true', 'repack', '-adfq');
  node.context.readers.drop(node.gitDir(pushed.id));
  const directory = join(node.gitDir(pushed.id), 'objects/pack');
  const name = readdirSync(directory).find((file) => file.endsWith('.pack'))!.slice(0, -5);
  return { node, id: pushed.id, gitDir: node.gitDir(pushed.id), directory, name };
}

/** A new file, as git makes its own read-only. */
function replace(path: string, bytes: Buffer): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
}
