import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { TestNode, TestRepository } from '../test-node.ts';
import { finishMigrations } from './finish-migrations.ts';

for (const [format, layout] of [['sha1', 'flat'], ['sha256', 'flat'], ['sha1', 'directory']] as const) {
  test(`a crash between a pack and its index in a migration leaves nothing damaged behind (${format}, ${layout})`, async (t) => {
    const node = await TestNode.start(t);
    const repository = new TestRepository(format);
    await repository.createOn(node);
    await repository.push([node]);
    await repository.voteOn(node);
    const gitDir = node.gitDir(repository.id);
    const [quarantine, store] = [join(gitDir, 'quarantine'), join(gitDir, 'objects/pack')];
    const pack = readdirSync(quarantine).find((file) => file.endsWith('.pack'))!;
    const name = `pack-${readFileSync(join(quarantine, pack)).toString('hex').slice(format === 'sha1' ? -40 : -64)}`;
    await node.stop();
    renameSync(join(quarantine, pack), join(store, `${name}.pack`));
    if (layout === 'directory') {
      mkdirSync(join(quarantine, 'vote', 'pack'), { recursive: true });
      renameSync(join(quarantine, pack.replace('.pack', '.idx')), join(quarantine, 'vote', 'pack', `${name}.idx`));
    }
    const again = await TestNode.start(t, { directory: node.directory });
    t.like(await again.verify(repository.id, true), { problems: [], packs: 2 });
    t.false(readdirSync(gitDir).includes('quarantine'));
    rmSync(join(store, `${name}.idx`));
    t.not((await again.verify(repository.id)).problems.length, 0, 'control: without its index it is taken for damaged');
  });
}

test('an index whose pack was not moved stays in the quarantine, and one that is in the store is not touched', async (t) => {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  t.is(await finishMigrations(node.gitDir(repository.id)), 0);
  await repository.push([node]);
  await repository.voteOn(node);
  const before = readdirSync(node.gitDir(repository.id), { recursive: true });
  t.is(await finishMigrations(node.gitDir(repository.id)), 0);
  t.deepEqual(readdirSync(node.gitDir(repository.id), { recursive: true }), before);
});
