import test from 'ava';
import { newId } from '@trivet/proto/id.ts';
import { PROTOCOL_HEADER } from '@trivet/proto/protocol-version.ts';
import { TestNode } from '../test-node.ts';

test('a controller that is too far apart in version is refused before anything else, heartbeats too', async (t) => {
  const node = await TestNode.start(t);
  for (const path of ['/status', `/repositories/${newId()}/refs`]) {
    const response = await node.request('GET', path, { headers: { [PROTOCOL_HEADER]: '9 9' } });
    t.is(response.status, 409);
    t.like(await response.json(), { code: 'version_mismatch', fields: { theirs: { version: 9, oldest: 9 } } });
  }
});

test('what a newer controller says beyond what this node knows is ignored', async (t) => {
  const node = await TestNode.start(t);
  const headers = { [PROTOCOL_HEADER]: '9 1' };
  const commit = { batch: newId(), after: { generation: 1, digest: '0'.repeat(64), somethingNew: 1 }, somethingElse: ['x'] };
  const path = `/repositories/${newId()}/commit`;
  t.like(await (await node.request('POST', path, { headers, body: commit })).json(), { code: 'replica_missing' });
  t.like(await (await node.request('POST', path, { headers, body: { ...commit, after: { generation: 1 } } })).json(), { code: 'bad_request' }, 'control: what is needed must be there');
});
