import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TestNode, TestRepository } from '../test-node.ts';

// Objects that git finds fault with, and that are just as they were pushed.

test('git does find fault with what these tests call malformed', async (t) => {
  const { node, repository } = await malformed(t);
  for (const args of [['fsck', '--full'], ['fsck', '--full', '--strict']]) {
    const error = t.throws(() => node.git(repository.id, ...args));
    for (const opinion of ['treeNotSorted', 'badTimezone', 'zeroPaddedFilemode']) t.true(error.message.includes(opinion));
  }
});

for (const packed of [false, true]) {
  test(`malformed objects that are intact are no damage, ${packed ? 'in a pack' : 'loose'}`, async (t) => {
    const { node, repository } = await malformed(t);
    if (packed) node.git(repository.id, 'repack', '-adq');
    t.deepEqual((await node.verify(repository.id, true)).problems, []);
  });
}

test('among malformed objects a flipped bit is found, wherever it is', async (t) => {
  const { node, repository } = await malformed(t);
  node.git(repository.id, 'repack', '-adq');
  const directory = join(node.gitDir(repository.id), 'objects/pack');
  for (const file of readdirSync(directory).filter((name) => /\.(pack|idx|rev)$/.test(name))) {
    const bytes = readFileSync(join(directory, file));
    for (let i = 0; i < 12; i++) {
      const at = Math.floor(i * (bytes.length - 1) / 11);
      const flipped = Buffer.from(bytes);
      flipped[at]! ^= 1 << (i % 8);
      replace(join(directory, file), flipped);
      t.true((await node.verify(repository.id, true)).problems.some(({ kind }) => kind === 'corrupt'), `${file.slice(-5)} at ${at}`);
    }
    replace(join(directory, file), bytes);
  }
  t.deepEqual((await node.verify(repository.id, true)).problems, [], 'control');
});

test('among malformed objects one that is missing is found, and one whose content is another\'s', async (t) => {
  const { node, repository, oids } = await malformed(t);
  const pathOf = (oid: string) => join(node.gitDir(repository.id), 'objects', oid.slice(0, 2), oid.slice(2));
  const bytes = readFileSync(pathOf(oids.blob));
  replace(pathOf(oids.blob), readFileSync(pathOf(oids.tree)));
  t.true((await node.verify(repository.id, true)).problems.some(({ kind }) => kind === 'corrupt'));
  rmSync(pathOf(oids.blob));
  t.true((await node.verify(repository.id, true)).problems.some(({ kind, detail }) => kind === 'corrupt' && detail.includes('missing')));
  replace(pathOf(oids.blob), bytes);
  t.deepEqual((await node.verify(repository.id, true)).problems, []);
});

test('a repair brings malformed objects like any others', async (t) => {
  const { node, repository } = await malformed(t);
  const target = await TestNode.start(t);
  await repository.createOn(target);
  const expect = await node.position(repository.id);
  await target.repair(repository.id, node, {});
  t.like(await target.repair(repository.id, node, { round: 'refs', expect }), expect);
  t.deepEqual((await target.verify(repository.id, true)).problems, []);
});

/** A node with a push, and beside it a tree with entries out of order and a padded mode, and a commit with an odd time zone. */
async function malformed(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  const write = (type: string, content: Buffer | string): string => {
    const { stdout, stderr, status } = spawnSync('git', ['hash-object', '-t', type, '-w', '--literally', '--stdin'], { cwd: node.gitDir(repository.id), input: content, encoding: 'utf8' });
    if (status !== 0) throw new Error(stderr);
    return stdout.trim();
  };
  const blob = write('blob', 'what a file holds\n');
  const id = Buffer.from(blob, 'hex');
  const tree = write('tree', Buffer.concat([Buffer.from('100644 b\0'), id, Buffer.from('0100644 a\0'), id]));
  const commit = write('commit', `tree ${tree}\nauthor A <a@example.org> 1 +9999999\ncommitter A <a@example.org> 1 +0000\n\nodd\n`);
  node.git(repository.id, 'update-ref', 'refs/heads/odd', commit);
  await node.context.replicas.saveRecords();
  node.context.replicas.reopen(repository.id);
  return { node, repository, oids: { blob, tree, commit } };
}

/** Another file under the same name: what is open or mapped stays as it was. */
function replace(path: string, bytes: Buffer): void {
  rmSync(path, { force: true });
  writeFileSync(path, bytes);
}
