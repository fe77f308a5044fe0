import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { TestNode, TestRepository } from '../test-node.ts';

test('a pack that was robbed of its index stays, and is found', async (t) => {
  const { node, repository } = await nodeWithPush(t);
  const { quarantine, packs } = await votedOnly(t, node, repository);
  t.true(readdirSync(quarantine).some((file) => file.endsWith('.idx')), 'an index of another pack waits in quarantine');
  const [pack] = readdirSync(packs).filter((file) => file.endsWith('.pack'));
  rmSync(join(packs, pack!.replace('.pack', '.idx')));
  const again = await startedAgain(t, node);
  t.true(existsSync(join(packs, pack!)));
  t.true((await again.verify(repository.id)).problems.some(({ kind, detail }) => kind === 'corrupt' && detail.includes('has no index')));
});

for (const when of ['at the start of the node', 'before a round of repair', 'before a rebuild goes on'] as const) {
  test(`what killed gits left in a store goes ${when}, and nothing else does`, async (t) => {
    const { node, repository } = await nodeWithPush(t);
    const source = await TestNode.start(t);
    await repository.createOn(source);
    const gitDir = node.gitDir(repository.id);
    const building = `${gitDir}.rebuilding-${'0'.repeat(32)}`;
    if (when === 'before a rebuild goes on') cpSync(gitDir, building, { recursive: true });
    const store = join(when === 'before a rebuild goes on' ? building : gitDir, 'objects');
    const [pack] = readdirSync(join(store, 'pack')).filter((file) => file.endsWith('.pack'));
    const left = ['pack/tmp_pack_Ab12Cd', 'pack/tmp_idx_Ab12Cd', 'tmp_objdir-incoming-x/pack/tmp_pack_1', 'aa/tmp_obj_Ab12Cd', `pack/${pack!.replace('.pack', '.keep')}`];
    const kept = ['pack/pack-mine.keep', `pack/${pack}`];
    for (const path of [...left, kept[0]!]) {
      mkdirSync(join(store, path, '..'), { recursive: true });
      writeFileSync(join(store, path), path === kept[0] ? 'do not touch\n' : 'fetch-pack 1 on a machine\n');
    }
    if (when === 'at the start of the node') await startedAgain(t, node);
    else await node.repair(repository.id, source, { way: when === 'before a rebuild goes on' ? 'rebuild' : 'fetch' });
    t.deepEqual(left.filter((path) => existsSync(join(store, path))), []);
    t.deepEqual(kept.filter((path) => existsSync(join(store, path))), kept);
  });
}

async function nodeWithPush(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  return { node, repository };
}

/** Takes a push as far as its vote. */
async function votedOnly(t: ExecutionContext, node: TestNode, repository: TestRepository) {
  node.context.participant.prepare = async () => { throw new Error('never came'); };
  await t.throwsAsync(repository.push([node]), { message: 'never came' });
  const gitDir = node.gitDir(repository.id);
  return { quarantine: join(gitDir, 'quarantine'), packs: join(gitDir, 'objects/pack') };
}

async function startedAgain(t: ExecutionContext, node: TestNode): Promise<TestNode> {
  await node.stop();
  return TestNode.start(t, { directory: node.directory });
}
