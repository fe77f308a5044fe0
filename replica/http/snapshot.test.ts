import test from 'ava';
import type { RefsSnapshot } from '@trivet/proto/messages.ts';
import { TestNode, TestRepository } from '../test-node.ts';

test('a snapshot that is asked for in the middle of a commit has the refs of the generation it names', async (t) => {
  const { promise: moved, resolve: move } = Promise.withResolvers<void>();
  const { promise: goesOn, resolve: goOn } = Promise.withResolvers<void>();
  const node = await TestNode.start(t);
  const { participant } = node.context;
  const commit = participant.commit.bind(participant);
  participant.commit = async (replica, message) => {
    const { refs } = replica.promise!;
    const commitRefs = refs.commit.bind(refs);
    // Refs have moved, the generation hasn't: here the commit waits until somebody waits for its end.
    refs.commit = async () => {
      await commitRefs();
      const exclusively = replica.exclusively.bind(replica);
      replica.exclusively = (change) => {
        goOn();
        return exclusively(change);
      };
      move();
      await goesOn;
    };
    return commit(replica, message);
  };
  const repository = new TestRepository();
  await repository.createOn(node);
  const before = await node.position(repository.id);
  const pushed = repository.push([node]);
  await moved;
  const response = await node.request('GET', `/repositories/${repository.id}/refs`);
  const answer = await response.json() as RefsSnapshot;
  // Or until the answer is there all the same.
  goOn();
  await pushed;
  const after = await node.position(repository.id);
  t.true([before, after].some(({ generation, digest }) => answer.generation === generation && answer.digest === digest));
  t.is(answer.refs.length, answer.generation);
});
