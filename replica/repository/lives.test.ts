import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TestNode, TestRepository } from '../test-node.ts';

// A repository's replica on one node comes and goes; what was promised in one life must not be made so in the next.

test('a replica that was removed and created again is empty after a restart', async (t) => {
  const { node, repository } = await promised(t);
  await node.context.replicas.remove(repository.id);
  await repository.createOn(node);
  const again = await startedAgain(t, node);
  t.deepEqual(await refsOf(again, repository), []);
  t.is((await again.position(repository.id)).generation, 0);
});

test('a replica whose directory went under a running node, and that a repair began to make anew, is empty after a restart', async (t) => {
  const { node, repository } = await promised(t);
  rmSync(node.gitDir(repository.id), { recursive: true });
  await t.throwsAsync(node.repair(repository.id, 'http://127.0.0.1:9', {}), { code: 'node_unreachable' });
  t.true(existsSync(node.gitDir(repository.id)));
  const again = await startedAgain(t, node);
  t.deepEqual(await refsOf(again, repository), []);
});

test('a removal that did not come to the renaming leaves all that was promised', async (t) => {
  const { node, repository } = await promised(t);
  const position = await node.position(repository.id);
  node.context.replicas.retire = async () => { throw new Error('killed'); };
  await t.throwsAsync(node.context.replicas.remove(repository.id), { message: 'killed' });
  const again = await startedAgain(t, node);
  t.deepEqual(await again.position(repository.id), position);
});

test('a removal whose journal fails takes the files away all the same, and can be asked for again', async (t) => {
  const { node, repository } = await promised(t);
  const append = node.context.journal.append.bind(node.context.journal);
  node.context.journal.append = async () => { throw new Error('no space'); };
  await t.throwsAsync(node.context.replicas.remove(repository.id), { message: 'no space' });
  t.deepEqual(await node.context.replicas.ids(), []);
  node.context.journal.append = append;
  await node.context.replicas.remove(repository.id);
  t.pass();
});

test('a creation that comes while a removal is under way waits for it, and two creations make one replica', async (t) => {
  const { node, repository } = await promised(t);
  const { replicas } = node.context;
  await Promise.all([replicas.remove(repository.id), repository.createOn(node), repository.createOn(node)]);
  t.is((await node.position(repository.id)).generation, 0);
  await node.context.journal.rotate(() => []);
  t.deepEqual(await refsOf(await startedAgain(t, node), repository), []);
});

test('a replica that the disk has no room for is a failure of the disk', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  // A file where its directory should be: as little can be made there as on a disk that is full or read-only.
  const inTheWay = dirname(node.gitDir(repository.id));
  mkdirSync(dirname(inTheWay), { recursive: true });
  writeFileSync(inTheWay, '');
  await t.throwsAsync(repository.createOn(node), { code: 'disk_failure' });
  rmSync(inTheWay);
  await repository.createOn(node);
  t.is((await node.position(repository.id)).generation, 0);
});

async function promised(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  return { node, repository };
}

async function startedAgain(t: ExecutionContext, node: TestNode): Promise<TestNode> {
  await node.stop();
  return TestNode.start(t, { directory: node.directory });
}

async function refsOf(node: TestNode, { id }: TestRepository) {
  return node.context.replicas.use(id, async (replica) => [...replica.refs.entries()]);
}
