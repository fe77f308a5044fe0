import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { systemClock } from '@trivet/proto/clock.ts';
import { TrivetError } from '@trivet/proto/errors.ts';
import type { MaintenanceRequest } from '@trivet/proto/messages.ts';
import { TestNode, TestRepository } from '../test-node.ts';
import { Maintenance, type MaintenanceOptions, type MaintenanceParts, type Outcome } from './maintenance.ts';
import type { AskPermission } from './permission.ts';

const OPTIONS: MaintenanceOptions = { enabled: true, scanMs: 1, deadlineMs: 60_000, graceMs: 5_000, packs: 10, urgentPacks: 100 };
const GRANT: AskPermission = async () => ({ granted: true, leaseMs: 30_000 });

test('a replica is worked on when it has too many packs, and not before', async (t) => {
  const { node, repository, tick, ended } = await scene(t, GRANT);
  for (let i = 0; i < 9; i++) await repository.push([node]);
  await tick();
  t.deepEqual(ended, []);
  await repository.push([node]);
  await tick();
  t.deepEqual(ended, ['done']);
  t.is(packs(node, repository), 1);
  await tick();
  t.deepEqual(ended, ['done'], 'and then there is nothing to do');
});

test('a replica that nobody has used since the node started is found as well', async (t) => {
  const { node, repository, tick, ended } = await scene(t, GRANT);
  for (let i = 0; i < 10; i++) await repository.push([node]);
  node.context.replicas.reopen(repository.id);
  await tick();
  t.deepEqual(ended, ['done']);
});

test('switched off, it does what is asked for and nothing else', async (t) => {
  const { node, repository, tick, ended, maintenance } = await scene(t, GRANT, { options: { ...OPTIONS, enabled: false } });
  for (let i = 0; i < 12; i++) await repository.push([node]);
  await tick();
  t.deepEqual(ended, []);
  await maintenance.ask(repository.id);
  await tick();
  t.deepEqual(ended, ['done']);
  await t.throwsAsync(maintenance.ask('1'.repeat(32)), { code: 'replica_missing' });
});

for (const [name, ask] of [
  ['refused', async () => ({ granted: false, reason: 'another replica is being maintained' })],
  ['not heard', async () => { throw new TrivetError('store_unavailable'); }],
] as [string, AskPermission][]) {
  test(`nothing is done when permission is ${name}, and it is asked for again later`, async (t) => {
    const { node, repository, tick, ended } = await scene(t, ask);
    for (let i = 0; i < 10; i++) await repository.push([node]);
    await tick();
    await tick();
    t.deepEqual(ended, ['refused']);
    t.is(packs(node, repository), 10);
  });
}

test('one that is being repaired is left alone, and a repair ends a maintenance before it touches anything', async (t) => {
  let repaired = true;
  const { promise: asked, resolve: sawQuestion } = Promise.withResolvers<void>();
  const { promise: permission, resolve: permit } = Promise.withResolvers<void>();
  const { node, repository, tick, ended, maintenance } = await scene(t, async () => {
    sawQuestion();
    await permission;
    return { granted: true, leaseMs: 30_000 };
  }, { isRepaired: () => repaired });
  for (let i = 0; i < 10; i++) await repository.push([node]);
  await tick();
  t.deepEqual(ended, []);
  repaired = false;
  const working = tick();
  await asked;
  t.is(maintenance.current, repository.id);
  const stopped = maintenance.stop(repository.id);
  permit();
  await stopped;
  await working;
  t.deepEqual(ended, ['stopped']);
  t.is(packs(node, repository), 10);
  t.is(maintenance.current, undefined);
});

test('one that takes longer than its deadline is stopped, and leaves a sound store', async (t) => {
  const { node, repository, tick, ended } = await scene(t, GRANT, { options: { ...OPTIONS, deadlineMs: 1 } });
  for (let i = 0; i < 10; i++) await repository.push([node]);
  await tick();
  t.deepEqual(ended, ['stopped']);
  t.deepEqual((await node.verify(repository.id, true)).problems, []);
});

test('one replica of a repository at a time is worked on; control: two, where everybody may', async (t) => {
  for (const [permission, most] of [[oneAtATime(), 1], [GRANT, 2]] as const) {
    const nodes = [await TestNode.start(t), await TestNode.start(t)];
    const repository = new TestRepository();
    await repository.createOn(...nodes);
    for (let i = 0; i < 10; i++) await repository.push(nodes);
    let working = 0;
    let seen = 0;
    const both = Promise.withResolvers<void>();
    const maintenances = nodes.map((node, i) => makeMaintenance(node, permission, {
      node: `n${i}`,
      // Each stays in its work until the other has come, or has been refused.
      failpoint: async (name) => {
        if (name !== 'maintenance-combined') return;
        working += 1;
        seen = Math.max(seen, working);
        if (working === 2) both.resolve();
        await both.promise;
        working -= 1;
      },
      events: { ended: (_repository, _due, outcome) => { if (outcome === 'refused') both.resolve(); }, step: () => {} },
    }));
    await Promise.all(maintenances.map((maintenance) => maintenance.tick()));
    t.is(seen, most);
  }
});

async function scene(t: ExecutionContext, ask: AskPermission, parts: Partial<MaintenanceParts> = {}) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  const ended: Outcome[] = [];
  const maintenance = makeMaintenance(node, ask, { events: { ended: (_repository, _due, outcome) => { ended.push(outcome); }, step: () => {} }, ...parts });
  t.teardown(() => maintenance.close());
  const tick = async () => {
    await systemClock.sleep(5);
    await maintenance.tick();
  };
  return { node, repository, maintenance, ended, tick };
}

function makeMaintenance(node: TestNode, ask: AskPermission, parts: Partial<MaintenanceParts>): Maintenance {
  const { replicas, readers } = node.context;
  return new Maintenance({
    node: 'n1', replicas, ask, isRepaired: () => false, isChecked: () => false, isBusy: () => false, roomBytes: () => Infinity,
    onReplaced: (gitDir, gone, come) => readers.replaced(gitDir, gone, come),
    failpoint: async () => {}, clock: systemClock, events: { ended: () => {}, step: () => {} }, options: OPTIONS,
    ...parts,
  });
}

function oneAtATime(): AskPermission {
  let holder: string | undefined;
  return async ({ node, kind }: MaintenanceRequest) => {
    if (kind === 'end') {
      if (holder === node) holder = undefined;
      return { granted: false, reason: 'ended' };
    }
    holder ??= node;
    return holder === node ? { granted: true, leaseMs: 30_000 } : { granted: false, reason: 'another' };
  };
}

function packs(node: TestNode, { id }: TestRepository): number {
  return readdirSync(join(node.gitDir(id), 'objects', 'pack')).filter((file) => file.endsWith('.pack')).length;
}
