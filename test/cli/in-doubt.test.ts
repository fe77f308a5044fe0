import anyTest from 'ava';
import { Cluster, expectNothingLeft, PATIENCE_MS, until } from '../cluster.ts';
import { PushedRepository } from '../faults/pushed-repository.ts';
import { commandsOf } from './commands.ts';

const test = anyTest.serial;
let cluster: Cluster;
anyTest.before(async () => {
  // A node that is in doubt must not ask by itself before the operator does.
  cluster = await Cluster.start({ environment: { TRIVET_PROMISE_DEADLINE_MS: '600000' } });
});
anyTest.after.always(() => cluster?.stop());

const { trivet, document } = commandsOf(() => cluster.url);

test('a transaction in doubt is found, settled by hand, and ends as an abort everywhere', async (t) => {
  const repository = await PushedRepository.create(cluster, 'doubted');
  const before = repository.acknowledged.at(-1);
  // The coordinator falls asleep between the promises and the decision.
  await cluster.arm('controller', 'decide-begin', 'delay 600000');
  const push = repository.push();
  const pending = async () => (await (await fetch(`${cluster.url}/api/v1/transactions?outcome=in_doubt`)).json() as { items: { promises: unknown[] }[] }).items;
  await until(async () => (await pending()).some(({ promises }) => promises.length === 3), PATIENCE_MS, () => 'nothing is in doubt');

  const { items } = await document(t, 0, 'transactions', 'list', '--outcome', 'in_doubt');
  t.like(items, { length: 1, 0: { repository: 'doubted', outcome: 'in_doubt', generation: null, decidedBy: null } });
  t.deepEqual(items[0].promises.map(({ node }: { node: string }) => node).sort(), cluster.nodeNames());
  t.regex((await trivet('transactions', 'show', items[0].id)).stdout, /^promised on +node\d \(for /m);

  const settled = await trivet('transactions', 'settle', items[0].id);
  t.is(settled.code, 0, settled.stderr);
  t.regex(settled.stdout, /^outcome +abort$/m);
  t.regex(settled.stdout, /^decided .* by controller$/m);
  await expectNothingLeft(cluster);

  // The sleeper never wakes up.
  await cluster.signal('controller', 'SIGKILL');
  await cluster.startPart('controller');
  t.not((await push).code, 0);
  await repository.expectSettledAt(before);
  t.like(await document(t, 0, 'transactions', 'show', items[0].id), { outcome: 'abort', promises: [] });
});
