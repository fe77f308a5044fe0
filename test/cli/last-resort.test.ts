import anyTest from 'ava';
import { Cluster, PATIENCE_MS, until } from '../cluster.ts';
import { PushedRepository, untilHealthy, untilReplica } from '../faults/pushed-repository.ts';
import { commandsOf } from './commands.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  cluster = await Cluster.start({ environment: { TRIVET_VOTE_GRACE_MS: '300', TRIVET_COMMIT_GRACE_MS: '300' } });
});
anyTest.after.always(() => cluster?.stop());

const { trivet, document } = commandsOf(() => cluster.url);

test('accept-data-loss: refused while the newest state can be had, planned, done, recorded, and the others follow', async (t) => {
  const repository = await PushedRepository.create(cluster, 'lost');
  const survivor = repository.acknowledged.at(-1);
  const loss = ['accept-data-loss', 'lost', '--source', 'node2', '--reason', 'node1 and node3 burnt', '--by', 'ann'];
  await cluster.signal('node2', 'SIGKILL');
  await untilHealthy(cluster, 'node2', false);
  await repository.mustPush();
  await repository.mustPush();
  await untilReplica(cluster, 'lost', 'node2', ['outdated']);
  for (const node of ['node1', 'node3']) await cluster.signal(node, 'SIGKILL');
  await cluster.startPart('node2');
  await untilHealthy(cluster, 'node2', true);
  for (const node of ['node1', 'node3']) await untilHealthy(cluster, node, false);

  const risk = await document(t, 1, 'at-risk', '--kind', 'unavailable');
  t.like(risk.items.find((item: any) => item.repository === 'lost'), { kind: 'unavailable', current: 0, configured: 3 });
  t.regex((await trivet('at-risk')).stdout, /^lost +unavailable +0 of 3/m);

  // For some seconds the dead nodes count as heard of, maybe by another controller.
  let plan = await trivet(...loss);
  await until(async () => plan.code === 0 || (plan = await trivet(...loss)).code === 0, PATIENCE_MS, () => plan.stderr);
  t.regex(plan.stdout, /^This is only a plan; nothing has been changed\.$/m);
  t.regex(plan.stdout, /^Generations 2 to 3 would be given up: the refs moved by 2 acknowledged pushes\.$/m);
  t.regex(plan.stdout, /^node1 +3 .* diverged$/m);
  t.like(await cluster.show('lost'), { generation: 3 });
  t.deepEqual((await (await fetch(`${cluster.url}/api/v1/data-losses`)).json() as any).items, []);

  const done = await document(t, 0, ...loss, '--yes-lose-data');
  t.like(done, { repository: 'lost', source: 'node2', acceptedBy: 'ann', reason: 'node1 and node3 burnt', dryRun: false, lost: { generations: 2 }, before: { generation: 3 }, after: { generation: 4 } });
  const { items } = await (await fetch(`${cluster.url}/api/v1/data-losses`)).json() as any;
  t.like(items, { length: 1, 0: { id: done.id, repository: 'lost', acceptedBy: 'ann', lost: { generations: 2 } } });
  t.deepEqual(await document(t, 0, 'data-losses'), { items, next: null });
  t.regex((await trivet('data-losses')).stdout, /^\S+ +lost .* node2 +2 +ann +node1 and node3 burnt$/m);
  t.is(await repository.remoteTip(), survivor);

  // The burnt nodes turn out to have survived: what they have is behind, and made equal.
  for (const node of ['node1', 'node3']) await cluster.startPart(node);
  t.is((await trivet('repair', 'watch', '--repository', 'lost')).code, 0);
  await repository.expectSettledAt(survivor);
  const needless = await trivet(...loss, '--yes-lose-data');
  t.is(needless.code, 1);
  t.regex(needless.stderr, /source_unsuitable/);
  t.is((await trivet('at-risk')).code, 0);
});
