import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { AdoptRequest } from '@trivet/proto/messages.ts';
import { readReplicaRecord } from '../repository/position-file.ts';
import { TestNode, TestRepository } from '../test-node.ts';

test('a replica takes a higher generation for the refs it has, and has it after a restart', async (t) => {
  const { node, repository } = await pushed(t);
  const { digest } = await node.position(repository.id);
  t.deepEqual(await adopt(node, repository, { generation: 9, digest }), { status: 200, body: { generation: 9, digest } });
  t.like(await readReplicaRecord(node.gitDir(repository.id)), { generation: 9, digest });
  t.deepEqual(await adopt(node, repository, { generation: 9, digest }), { status: 200, body: { generation: 9, digest } }, 'asked again it says the same');
  await node.stop();
  const again = await TestNode.start(t, { directory: node.directory });
  t.deepEqual(await again.position(repository.id), { generation: 9, digest });
});

test('a lower generation, other refs in memory or on the disk, and a promise that is held are refused', async (t) => {
  const { node, repository } = await pushed(t);
  const position = await node.position(repository.id);
  const refused = async (request: AdoptRequest) => (await adopt(node, repository, request)).body['code'];
  t.is(await refused({ ...position, generation: 2 }), 'replica_ahead');
  t.is(await refused({ generation: 9, digest: 'd'.repeat(64) }), 'source_unsuitable');
  await node.context.replicas.use(repository.id, async (replica) => { replica.promise = { record: { batch: 'b' } } as never; });
  t.is(await refused({ ...position, generation: 9 }), 'replica_busy');
  await node.context.replicas.use(repository.id, async (replica) => { replica.promise = undefined; });
  writeFileSync(join(node.gitDir(repository.id), 'refs/heads/other'), `${repository.tips.get('refs/heads/main')}\n`);
  t.is(await refused({ ...position, generation: 9 }), 'source_unsuitable');
  t.deepEqual(await node.position(repository.id), position);
});

async function adopt(node: TestNode, repository: TestRepository, request: AdoptRequest) {
  const response = await node.request('POST', `/repositories/${repository.id}/adopt`, { body: request });
  return { status: response.status, body: await response.json() as Record<string, unknown> };
}

async function pushed(t: ExecutionContext) {
  const node = await TestNode.start(t);
  const repository = new TestRepository();
  await repository.createOn(node);
  for (let i = 0; i < 3; i++) await repository.push([node]);
  return { node, repository };
}
