import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test from 'ava';
import { TestNode, TestRepository } from '../test-node.ts';

async function removeIfEmpty(node: TestNode, id: string): Promise<boolean> {
  return (await (await node.request('DELETE', `/repositories/${id}?ifEmpty=true`)).json() as { removed: boolean }).removed;
}

test('a repository that holds nothing is removed, whether or not it is open, and so is one whose making was broken off', async (t) => {
  const node = await TestNode.start(t);
  for (const prepare of [
    () => {},
    (id: string) => { node.context.replicas.reopen(id); },
    (id: string) => { node.context.replicas.reopen(id); rmSync(join(node.gitDir(id), 'trivet.json')); },
  ]) {
    const repository = new TestRepository();
    await repository.createOn(node);
    prepare(repository.id);
    t.true(await removeIfEmpty(node, repository.id));
    t.false(existsSync(node.gitDir(repository.id)));
    t.true(await removeIfEmpty(node, repository.id), 'none there is as good');
  }
});

for (const [what, fill] of [
  ['a push', (node, repository) => repository.push([node])],
  ['a vote', (node, repository) => repository.voteOn(node)],
  ['a ref that was put there by hand', async (node, { id }) => { writeFileSync(join(node.gitDir(id), 'refs/heads/x'), `${'1'.repeat(40)}\n`); }],
  ['packed refs', async (node, { id }) => { writeFileSync(join(node.gitDir(id), 'packed-refs'), `${'1'.repeat(40)} refs/heads/x\n`); }],
  ['an index without its pack', async (node, { id }) => { writeFileSync(join(node.gitDir(id), 'objects/pack', `pack-${'1'.repeat(40)}.idx`), ''); }],
] as [string, (node: TestNode, repository: TestRepository) => Promise<unknown>][]) {
  for (const open of [true, false]) {
    test(`a repository with ${what} stays, ${open ? '' : 'not '}being open`, async (t) => {
      const node = await TestNode.start(t);
      const repository = new TestRepository();
      await repository.createOn(node);
      await fill(node, repository);
      // A vote lives in memory alone.
      if (!open && what !== 'a vote') node.context.replicas.reopen(repository.id);
      t.false(await removeIfEmpty(node, repository.id));
      t.true(existsSync(join(node.gitDir(repository.id), 'HEAD')));
      await node.context.replicas.remove(repository.id);
      t.false(existsSync(node.gitDir(repository.id)), 'control: what is to go whatever it holds goes');
    });
  }
}
