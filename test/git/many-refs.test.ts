import { expectReplicasEqualTo, feedGit, makePack, useCluster, type Scenario } from './fixture.ts';
import { push, pushBody } from './wire.ts';

const scenario = useCluster();
const ZERO = '0'.repeat(40);

function names(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `refs/heads/team-${i % 100}/topic-${i}`);
}

async function equal(t: Parameters<typeof expectReplicasEqualTo>[0], { cluster, repository, work }: Scenario, generation: number): Promise<void> {
  t.is((await cluster.show(repository)).generation, generation);
  await expectReplicasEqualTo(t, cluster, repository, work.path);
}

// Without a git client: send-pack compares every name with every other, which takes it a minute of computing.
scenario('10,000 refs are created, moved and deleted, each time in one transaction', async (t, example) => {
  const { work, url } = example;
  const first = await work.commit('first');
  await work.git('push', '-q', url, 'main');
  const second = await work.commit('second');
  await work.git('push', '-q', url, 'main');
  const refs = names(10_000);
  const steps = [
    { old: ZERO, new: first, capabilities: 'report-status' },
    { old: first, new: second, capabilities: 'report-status atomic' },
    { old: second, new: ZERO, capabilities: 'report-status delete-refs' },
  ];
  for (const [i, step] of steps.entries()) {
    const pack = step.new === ZERO ? undefined : await makePack(work, []);
    const answer = await push(url, pushBody(refs.map((ref) => `${step.old} ${step.new} ${ref}`), step.capabilities, pack));
    const report = answer.body.toString();
    t.is(report.match(/ok refs\/heads\//g)?.length, 10_000, report.slice(0, 300));
    await feedGit(work.path, ['update-ref', '--stdin'], refs.map((ref) => `update ${ref} ${step.new} ${step.old}\n`).join(''));
    await equal(t, example, 3 + i);
  }
});

scenario('1,000 refs are pushed, cloned, moved and deleted by stock git', async (t, example) => {
  const { work, url, clone } = example;
  const first = await work.commit('first');
  await work.git('push', '-q', url, 'main');
  const refs = names(1_000);
  await feedGit(work.path, ['update-ref', '--stdin'], refs.map((ref) => `create ${ref} ${first}\n`).join(''));
  await work.git('push', '-q', url, 'refs/heads/*:refs/heads/*');
  await equal(t, example, 2);
  const copy = await clone('--mirror');
  t.is((await copy.git('for-each-ref')).split('\n').length, 1_001);
  const second = await work.commit('second');
  await feedGit(work.path, ['update-ref', '--stdin'], refs.map((ref) => `update ${ref} ${second}\n`).join(''));
  await work.git('push', '-q', '--atomic', url, 'refs/heads/*:refs/heads/*');
  await equal(t, example, 3);
  await copy.git('fetch', '-q');
  t.is(await copy.git('rev-parse', refs[999]!), second);
  await feedGit(work.path, ['update-ref', '--stdin'], refs.map((ref) => `delete ${ref}\n`).join(''));
  await work.git('push', '-q', '--prune', url, 'refs/heads/*:refs/heads/*');
  await equal(t, example, 4);
});
