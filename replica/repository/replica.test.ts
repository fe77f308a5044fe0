import test, { type ExecutionContext } from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { makeScratch } from '../refs/scratch-repository.ts';
import { RefStore } from '../refs/ref-store.ts';
import { Replica } from './replica.ts';

test('generations only rise', async (t) => {
  const replica = await replicaAt(t, 3);
  t.throws(() => replica.advance(3), { message: /would overwrite/ });
  t.throws(() => replica.advance(2), { message: /would overwrite/ });
  t.is(replica.generation, 3);
  replica.advance(7);
  t.like(replica.position, { generation: 7, digest: replica.refs.digest });
});

test('a repair may leave a replica at its generation or take it to a higher one, never to a lower', async (t) => {
  const replica = await replicaAt(t, 9);
  t.throws(() => replica.adopt(8), { message: /would overwrite/ });
  replica.adopt(9);
  replica.adopt(12);
  t.is(replica.generation, 12);
});

for (const move of ['advance', 'adopt'] as const) {
  test(`whoever waits for a generation goes on when ${move} brings it, and no sooner`, async (t) => {
    const replica = await replicaAt(t, 1);
    const reached: number[] = [];
    const waiting = [2, 3, 4].map((generation) => replica.reach(generation, 600_000).then(() => reached.push(generation)));
    replica[move](2);
    await waiting[0];
    t.deepEqual(reached, [2]);
    replica[move](4);
    await Promise.all(waiting);
    t.deepEqual(reached, [2, 3, 4]);
  });
}

test('a generation that is there, or was passed, is not waited for', async (t) => {
  const replica = await replicaAt(t, 5);
  await replica.reach(5, 0);
  await replica.reach(1, 0);
  t.pass();
});

test('a generation that does not come in time is refused, naming what was asked and what is held', async (t) => {
  const replica = await replicaAt(t, 1);
  const error = await t.throwsAsync(replica.reach(2, 1), { code: 'replica_behind' });
  t.like(error, { fields: { asked: 2, holds: 1 } });
});

test('changes run one after another, also when one of them fails', async (t) => {
  const replica = await replicaAt(t, 1);
  const log: string[] = [];
  const change = (name: string, fails = false) => replica.exclusively(async () => {
    log.push(`${name} begins`);
    await new Promise(setImmediate);
    log.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  });
  const [a, b, c] = await Promise.allSettled([change('a'), change('b', true), change('c')]);
  t.like(a, { status: 'fulfilled', value: 'a' });
  t.is(b.status, 'rejected');
  t.like(c, { status: 'fulfilled', value: 'c' });
  t.deepEqual(log, ['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});

test('the outcomes of the last batches are remembered, and only so many', async (t) => {
  const replica = await replicaAt(t, 1);
  const batches = Array.from({ length: 100 }, () => newId());
  batches.forEach((batch, i) => replica.rememberOutcome(batch, i % 2 === 0 ? 'commit' : 'abort'));
  t.is(replica.outcomeOf(batches[99]!), 'abort');
  t.is(replica.outcomeOf(batches[98]!), 'commit');
  t.is(replica.outcomeOf(batches[0]!), undefined);
  t.is(batches.filter((batch) => replica.outcomeOf(batch) !== undefined).length, 64);
});

test('a replica with a vote or a promise is not idle', async (t) => {
  const replica = await replicaAt(t, 1);
  t.true(replica.idle);
  replica.votes.set('t', {} as never);
  t.false(replica.idle);
  replica.votes.clear();
  replica.promise = {} as never;
  t.false(replica.idle);
});

async function replicaAt(t: ExecutionContext, generation: number): Promise<Replica> {
  const gitDir = makeScratch(t).repository();
  return new Replica({ id: newId(), gitDir, objectFormat: 'sha1', refs: await RefStore.open(gitDir, 'sha1'), generation });
}
