import test, { type ExecutionContext } from 'ava';
import type { SettleAnswer } from '@trivet/proto/messages.ts';
import { locksOf } from '../refs/scratch-repository.ts';
import { TestNode, TestRepository } from '../test-node.ts';
import type { Participant } from './participant.ts';

// A node that promised something else than the quorum, and never heard of the abort that was its due.

const OTHER = 'd'.repeat(64);

test('a commit of something else than was promised is refused, and leaves no ref, no lock, no vote and no promise', async (t) => {
  const { node, repository, record } = await promised(t);
  const { participant, replicas } = node.context;
  await replicas.use(repository.id, async (replica) => {
    const after = { ...record.after, digest: OTHER };
    await t.throwsAsync(participant.commit(replica, { batch: record.batch, after }), { code: 'promise_differs' });
    t.is(replica.promise, undefined);
    t.is(replica.votes.size, 0);
    t.is(replica.outcomeOf(record.batch), 'abort');
    await t.throwsAsync(participant.commit(replica, { batch: record.batch, after: record.after }), { code: 'unknown_transaction' });
  });
  await nothingHappened(t, node, repository);
});

test('a commit to another generation than was promised is refused', async (t) => {
  const { node, repository, record } = await promised(t);
  await node.context.replicas.use(repository.id, async (replica) => {
    const after = { ...record.after, generation: record.after.generation + 1 };
    await t.throwsAsync(node.context.participant.commit(replica, { batch: record.batch, after }), { code: 'promise_differs' });
  });
  await nothingHappened(t, node, repository);
});

test('a promise in doubt is undone when the decision is a commit of something else', async (t) => {
  const { node, repository, record } = await promised(t);
  await settled(node, { outcome: 'commit', after: { ...record.after, digest: OTHER } });
  t.is(await node.context.replicas.use(repository.id, async (replica) => replica.outcomeOf(record.batch)), 'abort');
  await nothingHappened(t, node, repository);
});

test('control: a promise in doubt is kept when the decision is a commit of just that', async (t) => {
  const { node, repository, record } = await promised(t);
  await settled(node, { outcome: 'commit', after: record.after });
  t.deepEqual(await node.position(repository.id), record.after);
});

test('after a restart nothing of a promise that was refused comes back', async (t) => {
  const { node, repository, record } = await promised(t);
  const before = await node.position(repository.id);
  await node.context.replicas.use(repository.id, async (replica) => {
    await t.throwsAsync(node.context.participant.commit(replica, { batch: record.batch, after: { ...record.after, digest: OTHER } }), { code: 'promise_differs' });
  });
  await node.stop();
  const again = await TestNode.start(t, { directory: node.directory });
  t.deepEqual(await again.position(repository.id), before);
});

/** A node with one push, and the promise of a second one whose commit never came. */
async function promised(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  await repository.push([node]);
  const { participant, replicas } = node.context;
  const commit = participant.commit.bind(participant);
  participant.commit = (async () => { throw new Error('lost'); }) satisfies Participant['commit'];
  await t.throwsAsync(repository.push([node]), { message: 'lost' });
  participant.commit = commit;
  const record = await replicas.use(repository.id, async (replica) => replica.promise!.record);
  return { node, repository, record };
}

async function settled(node: TestNode, answer: SettleAnswer): Promise<void> {
  node.context.controllers.settle = async () => answer;
  await node.context.inDoubt.settleOlderThan(Infinity);
}

async function nothingHappened(t: ExecutionContext, node: TestNode, repository: TestRepository): Promise<void> {
  t.is((await node.position(repository.id)).generation, 1);
  t.is(repository.tips.get('refs/heads/main'), node.git(repository.id, 'rev-parse', 'main'));
  t.deepEqual(locksOf(node.gitDir(repository.id)), []);
  await repository.push([node]);
  t.is((await node.position(repository.id)).generation, 2);
}
