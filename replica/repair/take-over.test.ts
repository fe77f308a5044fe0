import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseJournal } from '../participant/journal.ts';
import { TestNode, TestRepository } from '../test-node.ts';

// A node that dies in the middle of a take-over, and starts again on the disk as it was left.

test('a take-over that ends before the journal has its word leaves the old replica, promises and all', async (t) => {
  const { source, target, repository } = await behind(t);
  const before = await target.position(repository.id);
  target.context.journal.append = async () => { throw new Error('killed'); };
  await t.throwsAsync(refsRound(source, target, repository), { message: 'killed' });
  const again = await startedAgain(t, target);
  t.deepEqual(await again.position(repository.id), before);
  t.deepEqual((await again.verify(repository.id, true)).problems, []);
});

test('a take-over that ends behind the journal\'s word leaves the old replica where it was, though its promises count no more', async (t) => {
  const { source, target, repository } = await behind(t);
  const before = await target.position(repository.id);
  t.true(before.generation > 0);
  await target.context.replicas.use(repository.id, async (replica) => {
    replica.refs.replaceAll = async () => { throw new Error('killed'); };
  });
  await t.throwsAsync(refsRound(source, target, repository), { message: 'killed' });
  t.deepEqual(recordsOf(target).filter((record) => record.repository === repository.id).at(-1)!.kind, 'restart');
  const again = await startedAgain(t, target);
  t.deepEqual(await again.position(repository.id), before);
});

test('a take-over that ends before its record leaves the new refs, and no older promise is made so again over them', async (t) => {
  const { source, target, repository } = await behind(t);
  const expect = await source.position(repository.id);
  await target.context.replicas.use(repository.id, async (replica) => {
    const replaceAll = replica.refs.replaceAll.bind(replica.refs);
    replica.refs.replaceAll = async (head, refs) => {
      await replaceAll(head, refs);
      throw new Error('killed');
    };
  });
  await t.throwsAsync(refsRound(source, target, repository), { message: 'killed' });
  const again = await startedAgain(t, target);
  t.is((await again.position(repository.id)).digest, expect.digest);
  t.like(await again.repair(repository.id, source, { round: 'refs', expect }), expect);
});

test('a replica that could not be recovered stays so from start to start, until it is rebuilt; then its old promises are gone', async (t) => {
  const { source, target, repository } = await behind(t);
  writeFileSync(join(target.gitDir(repository.id), 'packed-refs'), '# pack-refs with: sorted \n0123');
  const other = new TestRepository();
  await other.createOn(target);
  await other.push([target]);
  let node = target;
  for (let i = 0; i < 2; i++) {
    node = await startedAgain(t, node);
    await t.throwsAsync(node.position(repository.id), { code: 'refs_unreadable' });
    t.is((await node.position(other.id)).generation, 1);
    t.deepEqual(recordsOf(node).map((record) => record.kind), ['promise', 'committed', 'promise', 'committed']);
  }
  const expect = await source.position(repository.id);
  t.like(await node.repair(repository.id, source, { round: 'refs', way: 'rebuild', expect }), expect);
  await node.context.journal.rotate(() => []);
  t.deepEqual(recordsOf(node), []);
  t.deepEqual(await (await startedAgain(t, node)).position(repository.id), expect);
});

/** A target with two pushes in its journal that missed a third. */
async function behind(t: ExecutionContext) {
  const source = await TestNode.start(t);
  const target = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(source, target);
  for (let i = 0; i < 2; i++) await repository.push([source, target]);
  await repository.push([source]);
  return { source, target, repository };
}

async function refsRound(source: TestNode, target: TestNode, repository: TestRepository) {
  return target.repair(repository.id, source, { round: 'refs', expect: await source.position(repository.id) });
}

async function startedAgain(t: ExecutionContext, node: TestNode): Promise<TestNode> {
  await node.stop();
  return TestNode.start(t, { directory: node.directory });
}

function recordsOf(node: TestNode) {
  const directory = join(node.directory, 'journal');
  return readdirSync(directory).sort().flatMap((name) => parseJournal(readFileSync(join(directory, name), 'utf8')));
}
