import test from 'ava';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { WorkTree } from '../cluster.ts';
import { Random } from '../../bench/repositories/random.ts';
import { expectReplicasEqualTo, useCluster, type Scenario } from './fixture.ts';
import { FOREIGN_CLIENTS, type ForeignClient } from './foreign-clients.ts';

const ODD_BRANCH = 'refs/heads/odd/ümläut#1+@%41';
const scenario = useCluster();

for (const client of FOREIGN_CLIENTS) {
  const promises: readonly [name: string, body: Parameters<typeof scenario>[1]][] = [
    [`${client.name} clones what stock git pushed, and fetches what it pushes later`, async (t, example) => {
      const { work, url } = example;
      await work.commit('first', { 'text.txt': 'text\n', 'deep/er/file.txt': 'deep\n' });
      await work.git('tag', '-a', '-m', 'one', 'v1');
      await work.git('push', '-q', url, 'main', 'main:topic', 'v1');
      const copy = await cloneWith(client, example);
      t.is(await copy.git('rev-parse', 'HEAD'), await work.git('rev-parse', 'main'));
      t.is(await copy.git('symbolic-ref', 'HEAD'), 'refs/heads/main');
      t.is(await copy.git('status', '--porcelain'), '');
      t.is(await copy.git('rev-parse', 'refs/remotes/origin/topic'), await work.git('rev-parse', 'main'));
      t.is(await copy.git('rev-parse', 'v1'), await work.git('rev-parse', 'v1'));
      const next = await work.commit('second', { 'text.txt': 'another text\n' });
      await work.git('push', '-q', url, 'main', 'main:fresh');
      await client.fetch(copy.path);
      t.is(await copy.git('rev-parse', 'refs/remotes/origin/main'), next);
      t.is(await copy.git('rev-parse', 'refs/remotes/origin/fresh'), next);
      t.is((await copy.tryGit('fsck', '--full')).code, 0);
    }],
    [`${client.name} creates, updates, forces and deletes refs, bit for bit the same on every replica`, async (t, example) => {
      const { work, url, clone, cluster, repository } = example;
      await work.commit('first');
      await work.git('push', '-q', url, 'main', 'main:topic');
      const copy = await cloneWith(client, example);
      const second = await copy.commit('second');
      await copy.git('tag', '-a', '-m', 'from afar', 'v2');
      await copy.git('tag', 'light');
      await client.push(copy.path, ['refs/heads/main:refs/heads/main', 'refs/heads/main:refs/heads/created', 'refs/tags/v2:refs/tags/v2',
        'refs/tags/light:refs/tags/light', `refs/heads/main:${ODD_BRANCH}`, ':refs/heads/topic']);
      t.is(await work.git('-c', 'core.quotePath=false', 'ls-remote', '--refs', url), [
        `${second}\trefs/heads/created`, `${second}\trefs/heads/main`, `${second}\t${ODD_BRANCH}`,
        `${second}\trefs/tags/light`, `${await copy.git('rev-parse', 'v2')}\trefs/tags/v2`,
      ].join('\n'));
      await copy.git('commit', '-q', '--amend', '-m', 'amended');
      await client.push(copy.path, ['+refs/heads/main:refs/heads/main']);
      const mirror = await clone('--mirror');
      t.is(await mirror.git('rev-parse', 'main'), await copy.git('rev-parse', 'HEAD'));
      await expectReplicasEqualTo(t, cluster, repository, mirror.path);
    }],
    [`${client.name} pushes the first branch of an empty repository, and more than the in-process limit`, async (t, example) => {
      const { work, url, clone, cluster, repository } = example;
      await work.git('checkout', '-q', '-b', 'trunk');
      await writeFile(join(work.path, 'large.bin'), new Random('foreign').bytes(2_500_000));
      const tip = await work.commit('first');
      await client.push(work.path, ['refs/heads/trunk:refs/heads/trunk']);
      t.is((await cluster.show(repository)).defaultBranch, 'trunk');
      const mirror = await clone('--mirror');
      t.is(await mirror.git('rev-parse', 'HEAD'), tip);
      t.is(await work.git('ls-remote', '--heads', url), `${tip}\trefs/heads/trunk`);
      await expectReplicasEqualTo(t, cluster, repository, mirror.path);
    }],
    [`${client.name} hears that a ref was refused, and the ref stays`, async (t, example) => {
      const { work, url } = example;
      const first = await work.commit('first');
      await work.git('push', '-q', url, 'main');
      const copy = await cloneWith(client, example);
      await copy.git('commit', '-q', '--amend', '-m', 'amended');
      await t.throwsAsync(client.push(copy.path, ['+refs/heads/main:refs/heads/main']));
      t.is(await work.git('ls-remote', '--heads', url), `${first}\trefs/heads/main`);
    }],
  ];
  for (const [name, body] of promises) {
    if (client.missing === undefined) scenario(name, body, name.includes('refused') ? { create: { denyNonFastForwards: true } } : {});
    else test.skip(`${name} (${client.missing} is not installed)`, () => {});
  }
}

async function cloneWith(client: ForeignClient, { directory, url }: Scenario): Promise<WorkTree> {
  const path = join(await directory(), 'copy');
  await client.clone(url, path);
  return new WorkTree(path);
}
